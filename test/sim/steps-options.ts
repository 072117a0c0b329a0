// What the steps of one simulated membership are made of, and whom they tell. Types only.

import type { MessageFrom, MessageOf } from '../../proto/messages.ts';
import type { Accusation } from '../../worker/step/accusation.ts';
import type { Owed } from '../../worker/step/step-machine.ts';
import type { WorkerProcess } from './worker-process.ts';

export interface StepsOptions {
  readonly worker: WorkerProcess;
  readonly membership: MessageOf<'membership'>;
  readonly startStep: number;
  readonly owed: Owed;
  readonly state: Float32Array;
  readonly sendToPeer: (rank: number, message: MessageFrom<'peer'>) => void;
  readonly send: (message: MessageFrom<'worker'>) => void;
  readonly snapshot: (step: number, last: boolean) => void;
  /** The step in which every number that comes is looked at. */
  readonly verifyStep: number | null;
  readonly onAccused: (step: number, accusation: Accusation) => void;
  readonly onPeerOverdue: (rank: number, why: string) => void;
  readonly onLanesStuck: (step: number) => void;
  readonly onFinished: (step: number) => void;
}

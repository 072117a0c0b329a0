// What the coordinator's machine hears and what it wants done: its two vocabularies. Types only.

import type { MessageFrom } from '../proto/messages.ts';
import type { ErrorCode } from '../src/errors.ts';
import type { Numerics } from './run-identity.ts';

export type ConnectionId = number;
export type FromWorker = MessageFrom<'worker'>;
/** What members say of the membership they are in. */
export type FromMember = Extract<
  FromWorker,
  { type: 'standing' | 'accuse' | 'digest' | 'report' | 'evaluation' | 'statePiece' | 'finished' }
>;
export type ToWorker = MessageFrom<'coordinator'>;

export type CoordinatorEvent =
  | { readonly is: 'connected'; readonly connection: ConnectionId; readonly address: string }
  | { readonly is: 'message'; readonly connection: ConnectionId; readonly message: FromWorker }
  /** `misconduct`: it was ended here, for what came in. */
  | {
      readonly is: 'closed';
      readonly connection: ConnectionId;
      readonly why: string;
      readonly misconduct?: boolean;
    }
  /** It sent what it must not, which showed outside of the machine. */
  | { readonly is: 'misconduct'; readonly connection: ConnectionId; readonly what: string }
  | { readonly is: 'stop' }
  | { readonly is: 'timer'; readonly timer: Timer }
  /** A snapshot has come whole; `digest`: of what came. It is written when the members agree on it. */
  | { readonly is: 'snapshotCame'; readonly step: number; readonly digest: number }
  /** It is on its way to the disk; then it is there. */
  | { readonly is: 'snapshotWhole'; readonly step: number }
  | { readonly is: 'checkpointed'; readonly step: number }
  /** Something outside of the machine went wrong: a checkpoint could not be written, a process did not start. */
  | { readonly is: 'failed'; readonly code: ErrorCode; readonly message: string }
  /** The process of a worker of ours ended by itself, and not well. `message` counts where no worker said what was wrong. */
  | { readonly is: 'processEnded'; readonly message: string };

/** Set by an effect, and given back as an event. */
export type Timer =
  | { readonly kind: 'gathering' }
  | {
      readonly kind: 'evidence' | 'forming' | 'replaying' | 'joining' | 'joinAtLatest';
      readonly generation: number;
    };

export type CoordinatorEffect =
  | { readonly do: 'send'; readonly connection: ConnectionId; readonly message: ToWorker }
  | { readonly do: 'welcome'; readonly connection: ConnectionId; readonly workerId: string }
  | { readonly do: 'close'; readonly connection: ConnectionId }
  | { readonly do: 'sendData'; readonly connection: ConnectionId }
  | {
      readonly do: 'sendState';
      readonly connection: ConnectionId;
      readonly generation: number;
      readonly step: number;
    }
  | { readonly do: 'notice'; readonly message: string }
  | { readonly do: 'setTimer'; readonly timer: Timer; readonly ms: number }
  /** Durable before anything that follows; `numerics`: whose bits the run has from its first membership on, told with that. */
  | {
      readonly do: 'journal';
      readonly generation: number;
      readonly workerIds: readonly string[];
      readonly numerics: Numerics | null;
      /** The members compute up to this step alone, from the newest checkpoint; null: they do not. */
      readonly replayTo: number | null;
    }
  /** The membership is formed. */
  | {
      readonly do: 'formed';
      readonly generation: number;
      readonly members: readonly { readonly workerId: string; readonly threads: number }[];
      readonly backend: string;
      readonly variant: string;
      readonly fingerprint: string;
      readonly reason: string;
      /** The timer of its forming is due after so many milliseconds. */
      readonly formingMs: number;
    }
  /** `goesBack`: what was told of later steps may be wrong, and is told again. */
  | { readonly do: 'aligned'; readonly step: number; readonly reason: string; readonly goesBack: boolean }
  /** All members agree on the snapshot of this step: it becomes a checkpoint. */
  | { readonly do: 'keep'; readonly step: number }
  | { readonly do: 'stepReport'; readonly report: Extract<FromWorker, { type: 'report' }> }
  | {
      readonly do: 'evaluation';
      readonly step: number;
      readonly parts: readonly Extract<FromWorker, { type: 'evaluation' }>[];
    }
  | {
      readonly do: 'statePiece';
      readonly connection: ConnectionId;
      readonly piece: Extract<FromWorker, { type: 'statePiece' }>;
    }
  | { readonly do: 'end'; readonly step: number; readonly weightsSha256: string }
  | { readonly do: 'fail'; readonly code: ErrorCode; readonly message: string };

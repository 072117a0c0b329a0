// The collectives of one generation over its mesh (I/O): what the steps call, and where messages of peers go.

import type { MessageOf } from '../../proto/messages.ts';
import type { EngineMemory } from '../../src/engine/memory.ts';
import { LockstepError } from '../../src/errors.ts';
import type { Backend } from '../../src/kernels/backend.ts';
import type { Mesh, PeerMessage } from '../mesh.ts';
import type { StepPeers } from '../step/peers.ts';

export interface OpenPeersOptions {
  readonly mesh: Mesh;
  readonly membership: MessageOf<'membership'>;
  readonly memory: EngineMemory;
  readonly backend: Backend;
}

export interface OpenedPeers {
  readonly peers: StepPeers;
  onMessage(rank: number, message: PeerMessage): void;
}

export function openPeers(_options: OpenPeersOptions): OpenedPeers {
  throw new LockstepError('LOCKSTEP_INTERNAL', 'collectives are missing');
}

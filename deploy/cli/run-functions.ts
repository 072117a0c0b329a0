// The engine's functions that the command line runs on, put together.

import { LockstepError } from '../../src/errors.ts';
import type { RunApi } from './run-api.ts';

function missing(): never {
  throw new LockstepError('LOCKSTEP_INTERNAL', 'the run functions are not wired in this build');
}

export const runFunctions: RunApi = {
  trainCluster: async () => missing(),
  serveCoordinator: async () => missing(),
  runWorker: async () => missing(),
};

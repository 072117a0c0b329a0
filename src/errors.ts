// The one error class and its table of stable codes.
// A code says whose fault it was: `usage` (the user's input), `remote` (a peer's bytes or absence),
// `world` (files, ports, machines), `training` (the run itself went wrong) or `bug` (ours).

import { printable } from './platform/printable.ts';

interface ErrorRow {
  readonly fault: 'usage' | 'remote' | 'world' | 'training' | 'bug';
  /** Exit code of the command line: 1 failed, 2 bad usage or config, 3 failed but worth retrying. */
  readonly exitCode: 1 | 2 | 3;
}

export const errorCodes = {
  LOCKSTEP_CONFIG_INVALID: { fault: 'usage', exitCode: 2 },
  LOCKSTEP_CONFIG_NOT_FOUND: { fault: 'usage', exitCode: 2 },
  LOCKSTEP_USAGE: { fault: 'usage', exitCode: 2 },
  LOCKSTEP_MODEL_INVALID: { fault: 'usage', exitCode: 2 },
  LOCKSTEP_DATA_NOT_FOUND: { fault: 'usage', exitCode: 2 },
  LOCKSTEP_DATA_INVALID: { fault: 'usage', exitCode: 2 },
  LOCKSTEP_CHECKPOINT_NOT_FOUND: { fault: 'usage', exitCode: 2 },
  LOCKSTEP_CHECKPOINT_INVALID: { fault: 'world', exitCode: 1 },
  LOCKSTEP_CHECKPOINT_MISMATCH: { fault: 'usage', exitCode: 2 },
  LOCKSTEP_BACKEND_UNAVAILABLE: { fault: 'world', exitCode: 2 },
  LOCKSTEP_OUT_OF_MEMORY: { fault: 'world', exitCode: 1 },
  LOCKSTEP_RUN_IN_USE: { fault: 'world', exitCode: 2 },
  LOCKSTEP_PORT_IN_USE: { fault: 'world', exitCode: 2 },
  LOCKSTEP_FILE_SYSTEM: { fault: 'world', exitCode: 1 },
  LOCKSTEP_OPEN_FILES: { fault: 'world', exitCode: 1 },
  LOCKSTEP_UNAUTHORIZED: { fault: 'usage', exitCode: 2 },
  LOCKSTEP_INSECURE: { fault: 'usage', exitCode: 2 },
  LOCKSTEP_VERSION_MISMATCH: { fault: 'usage', exitCode: 2 },
  LOCKSTEP_FINGERPRINT_MISMATCH: { fault: 'usage', exitCode: 2 },
  LOCKSTEP_GENERATION_OVER: { fault: 'remote', exitCode: 3 },
  LOCKSTEP_PROTOCOL: { fault: 'remote', exitCode: 1 },
  LOCKSTEP_CONNECT_FAILED: { fault: 'world', exitCode: 3 },
  LOCKSTEP_PEER_LOST: { fault: 'remote', exitCode: 3 },
  LOCKSTEP_WORKER_FAILED: { fault: 'world', exitCode: 3 },
  LOCKSTEP_LANES_STUCK: { fault: 'world', exitCode: 3 },
  LOCKSTEP_DATA_MISMATCH: { fault: 'remote', exitCode: 1 },
  LOCKSTEP_WEIGHTS_DIFFER: { fault: 'world', exitCode: 1 },
  LOCKSTEP_STOPPED: { fault: 'usage', exitCode: 3 },
  LOCKSTEP_NOT_FINITE: { fault: 'training', exitCode: 1 },
  LOCKSTEP_INTERNAL: { fault: 'bug', exitCode: 1 },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof errorCodes;

/**
 * The only error that leaves a public function. `message` is one printable line that a user can act on, whatever it quotes.
 */
export class LockstepError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(printable(message.replace(/\s*[\r\n]+\s*/g, ' ')), options);
    this.name = 'LockstepError';
    this.code = code;
  }

  get exitCode(): number {
    return errorCodes[this.code].exitCode;
  }
}

/** Our own invariants: a failure here is a bug of this project, never the user's. */
export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new LockstepError('LOCKSTEP_INTERNAL', `internal error, please report it: ${what}`);
}

/** What to do about EMFILE and ENFILE. */
export const openFilesRemedy = 'no more files may be open: raise the limit, for instance by ulimit -n 1024';

/** Also of a thread or a child process that could not be started, whose own code says nothing. */
export function isOpenFilesLimit(error: unknown): boolean {
  return error instanceof Error && /\b(EMFILE|ENFILE)\b/.test(error.message);
}

/**
 * Any caught value as the program's error: itself, one that names a code of ours (the protocol's), the system's limit of open
 * files, or a bug of ours.
 */
export function asLockstepError(error: unknown): LockstepError {
  if (error instanceof LockstepError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (
    error instanceof Error &&
    'programCode' in error &&
    Object.hasOwn(errorCodes, String(error.programCode))
  ) {
    return new LockstepError(error.programCode as ErrorCode, message, { cause: error });
  }
  if (isOpenFilesLimit(error)) {
    return new LockstepError('LOCKSTEP_OPEN_FILES', `${message}: ${openFilesRemedy}`, { cause: error });
  }
  return new LockstepError('LOCKSTEP_INTERNAL', `internal error, please report it: ${message}`, {
    cause: error,
  });
}

// The one error of this folder. A peer's bytes or conduct were wrong, or a connection could not be had.
// The shells above turn it into the error class of the program.

export const protocolErrorCodes = [
  'corrupt', // a message that is not as it was sent, or bytes that are no frame: the wire's fault, for all we know
  'malformed', // not one msgpack value of the allowed kinds
  'unknownType', // no such message
  'invalid', // a field is missing, unknown, of another type or past its limit
  'tooLarge', // a frame above the limit of its role
  'unexpected', // a known message that has no place here: wrong direction, state or kind of frame
  'size', // binary data of another size than the receiver's plan says
  'notFinite', // numbers where only finite ones can be right
  'conflict', // two results for one key that are not equal by bytes
  'overflow', // a peer is further ahead, or further behind in reading, than can be
  'refused', // one that has the token answered the upgrade with a status (see `status`), or a proxy with one of its own
  'unproved', // what answers does not prove that it has the token: it is not our coordinator, or not our peer
  'unreachable', // no connection: refused by the system, unknown host, reset
  'timeout', // no answer in time
  'portInUse', // cannot listen
  'openFiles', // the limit of open files leaves no room to listen
  'certificate', // TLS, or the want of it: an authority, a name or a protocol that does not fit
  'insecure', // a wider address than loopback without TLS, and not said to be wanted
  'token', // no token, or not one of ours
] as const;

export type ProtocolErrorCode = (typeof protocolErrorCodes)[number];

interface Meaning {
  /** The program's own code, for the error class of the program (src/errors.ts), which this folder does not know. */
  readonly program: string;
  /** An intact message proves it of its sender. */
  readonly misconduct: boolean;
}

const meanings: { readonly [C in ProtocolErrorCode]: Meaning } = {
  corrupt: { program: 'LOCKSTEP_PROTOCOL', misconduct: false },
  malformed: { program: 'LOCKSTEP_PROTOCOL', misconduct: true },
  unknownType: { program: 'LOCKSTEP_PROTOCOL', misconduct: true },
  invalid: { program: 'LOCKSTEP_PROTOCOL', misconduct: true },
  // By the length that a frame announces, before its check is known.
  tooLarge: { program: 'LOCKSTEP_PROTOCOL', misconduct: false },
  unexpected: { program: 'LOCKSTEP_PROTOCOL', misconduct: true },
  size: { program: 'LOCKSTEP_PROTOCOL', misconduct: true },
  notFinite: { program: 'LOCKSTEP_PROTOCOL', misconduct: true },
  conflict: { program: 'LOCKSTEP_WEIGHTS_DIFFER', misconduct: true },
  overflow: { program: 'LOCKSTEP_PROTOCOL', misconduct: true },
  unproved: { program: 'LOCKSTEP_UNAUTHORIZED', misconduct: false },
  refused: { program: 'LOCKSTEP_UNAUTHORIZED', misconduct: false },
  unreachable: { program: 'LOCKSTEP_CONNECT_FAILED', misconduct: false },
  timeout: { program: 'LOCKSTEP_CONNECT_FAILED', misconduct: false },
  portInUse: { program: 'LOCKSTEP_PORT_IN_USE', misconduct: false },
  openFiles: { program: 'LOCKSTEP_USAGE', misconduct: false },
  certificate: { program: 'LOCKSTEP_UNAUTHORIZED', misconduct: false },
  insecure: { program: 'LOCKSTEP_INSECURE', misconduct: false },
  token: { program: 'LOCKSTEP_UNAUTHORIZED', misconduct: false },
};

/** Whether an error of this code tells of the other end itself, and not of the wire or of us. */
export function isMisconduct(code: ProtocolErrorCode): boolean {
  return meanings[code].misconduct;
}

export class ProtocolError extends Error {
  readonly code: ProtocolErrorCode;
  /** HTTP status of a refused upgrade, else 0. */
  readonly status: number;

  constructor(code: ProtocolErrorCode, message: string, status = 0) {
    super(message);
    this.name = 'ProtocolError';
    this.code = code;
    this.status = status;
  }

  get programCode(): string {
    return this.code === 'refused' && this.status === 426
      ? 'LOCKSTEP_VERSION_MISMATCH'
      : meanings[this.code].program;
  }
}

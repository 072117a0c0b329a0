// The one error of this folder. A peer's bytes or conduct were wrong, or a connection could not be had.
// The shells above turn it into the error class of the program.

export const protocolErrorCodes = [
  'malformed', // not one msgpack value of the allowed kinds
  'unknownType', // no such message
  'invalid', // a field is missing, unknown, of another type or past its limit
  'tooLarge', // a frame above the limit of its role
  'unexpected', // a known message that has no place here: wrong direction, state or kind of frame
  'size', // binary data of another size than the receiver's plan says
  'notFinite', // numbers where only finite ones can be right
  'conflict', // two results for one key that are not equal by bytes
  'overflow', // a peer is further ahead, or further behind in reading, than can be
  'refused', // the HTTP upgrade was answered with a status (see `status`)
  'unreachable', // no connection: refused by the system, unknown host, reset
  'timeout', // no answer in time
  'portInUse', // cannot listen
  'certificate', // TLS, or the want of it: an authority, a name or a protocol that does not fit
  'insecure', // a wider address than loopback without TLS, and not said to be wanted
  'token', // no token, or not one of ours
] as const;

export type ProtocolErrorCode = (typeof protocolErrorCodes)[number];

/** The program's own code for each, for the error class of the program (src/errors.ts), which this folder does not know. */
const programCodes: { readonly [C in ProtocolErrorCode]: string } = {
  malformed: 'LOCKSTEP_PROTOCOL',
  unknownType: 'LOCKSTEP_PROTOCOL',
  invalid: 'LOCKSTEP_PROTOCOL',
  tooLarge: 'LOCKSTEP_PROTOCOL',
  unexpected: 'LOCKSTEP_PROTOCOL',
  size: 'LOCKSTEP_PROTOCOL',
  notFinite: 'LOCKSTEP_PROTOCOL',
  conflict: 'LOCKSTEP_WEIGHTS_DIFFER',
  overflow: 'LOCKSTEP_PROTOCOL',
  refused: 'LOCKSTEP_UNAUTHORIZED',
  unreachable: 'LOCKSTEP_CONNECT_FAILED',
  timeout: 'LOCKSTEP_CONNECT_FAILED',
  portInUse: 'LOCKSTEP_PORT_IN_USE',
  certificate: 'LOCKSTEP_UNAUTHORIZED',
  insecure: 'LOCKSTEP_INSECURE',
  token: 'LOCKSTEP_UNAUTHORIZED',
};

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
      : programCodes[this.code];
  }
}

/** What an intact message proves of its sender; anything else may be the way's fault, or nobody's. */
const misconduct: ReadonlySet<ProtocolErrorCode> = new Set([
  'malformed',
  'unknownType',
  'invalid',
  'tooLarge',
  'unexpected',
  'size',
  'notFinite',
  'conflict',
  'overflow',
]);

export function isMisconduct(code: ProtocolErrorCode): boolean {
  return misconduct.has(code);
}

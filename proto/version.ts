// What both sides must agree on before anything else is said.

/** Rises whenever a message or its meaning changes; sent in the headers of the upgrade and in hello. */
export const protocolVersion = 5;

/** Header of the upgrade, and of every answer to it, that carries the sender's version of the protocol. */
export const versionHeader = 'x-lockstep-protocol';

/** Header of the upgrade request that carries the role. */
export const roleHeader = 'x-lockstep-role';

/** Header of the upgrade request that carries the run that the dialler belongs to, empty where there is none yet. */
export const runHeader = 'x-lockstep-run';

/** Headers of the proof that both ends have the token: see handshake.ts. These stay as they are in every version. */
export const nonceHeader = 'x-lockstep-nonce';
export const proofHeader = 'x-lockstep-proof';

/** Who may connect: to a coordinator (worker, observer, admin) or to a worker (peer). */
export const roles = ['worker', 'observer', 'admin', 'peer'] as const;
export type Role = (typeof roles)[number];

/** Paths of the WebSockets: a coordinator's and a worker's. */
export const coordinatorPath = '/lockstep';
export const peerPath = '/lockstep/peer';

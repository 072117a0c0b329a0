// What both sides must agree on before anything else is said.

/** Rises whenever a message or its meaning changes; sent in the header of the upgrade and in hello. */
export const protocolVersion = 4;

/** Header of the upgrade request that carries the protocol's version. */
export const versionHeader = 'x-lockstep-protocol';

/** Header of the upgrade request that carries the role. */
export const roleHeader = 'x-lockstep-role';

/** Who may connect: to a coordinator (worker, observer, admin) or to a worker (peer). */
export const roles = ['worker', 'observer', 'admin', 'peer'] as const;
export type Role = (typeof roles)[number];

/** Paths of the WebSockets: a coordinator's and a worker's. */
export const coordinatorPath = '/lockstep';
export const peerPath = '/lockstep/peer';

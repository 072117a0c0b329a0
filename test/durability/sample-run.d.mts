import type { Numerics, RunIdentity } from '../../coordinator/run-identity.ts';

export const sampleIdentity: RunIdentity;
export const sampleNumerics: Numerics;

// The seed of randomised tests: LOCKSTEP_SEED, else drawn anew. Whoever uses it prints it in the name of its tests, so that a
// failure can be repeated.

export const randomSeed = Number(process.env.LOCKSTEP_SEED ?? Math.floor(Math.random() * 2 ** 31)) >>> 0;

// How much scratch a lane has, in floats: packed panels, partial tiles and the stacks of the tree live there.

/** Floats of one lane's scratch: 4 MiB. */
export const scratchFloats = 1024 * 1024;

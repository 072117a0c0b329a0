// How the all-reduce cuts its messages. Measured on loopback with bench/all-reduce; no bit depends on it.

import { limits } from '../../proto/limits.ts';
import type { ChunkSizes } from './chunks.ts';

export const chunkSizes: ChunkSizes = {
  pieceFloats: limits.tensorMessageBytes / Float32Array.BYTES_PER_ELEMENT,
  directBytesMax: 1024 * 1024,
};

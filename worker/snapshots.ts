// Snapshots of the state on their way to the coordinator (I/O): checked and copied at once, sent piece by piece while the steps
// go on. What they are of, and when one is due, others decide.

import type { MessageFrom } from '../proto/messages.ts';
import { sendPieces } from '../proto/transport/bulk.ts';
import type { Link } from '../proto/transport/link.ts';
import type { EngineMemory } from '../src/engine/memory.ts';
import type { StateLayout } from '../src/engine/state.ts';
import { LockstepError } from '../src/errors.ts';
import { stateVectors } from './engine.ts';

/** The state after `step`. */
export interface SnapshotOf {
  readonly generation: number;
  readonly step: number;
  /** After it there are no more steps. */
  readonly isLast: boolean;
  /** False once its generation is over: nobody takes the rest of it then. */
  readonly isWanted: () => boolean;
}

export class Snapshots {
  /** Memory of a copy that has left: that of a new one costs more than the copy. */
  #spare: Float32Array[] | null = null;
  /** The newest of those that were taken and have not left. */
  #inFlight: SnapshotOf | null = null;
  #settled: Promise<void> = Promise.resolve();

  /** When those that were taken have left; rejects as they do. */
  get settled(): Promise<void> {
    return this.#settled;
  }

  /**
   * Copies the state now. A snapshot that comes while the one before is still on its way is left out (the last one waits for
   * its turn, the first of a generation for as long as a piece of one before takes): there are never more than two copies of
   * the state. What is sent was checked (checkFinite).
   */
  take(of: SnapshotOf, memory: EngineMemory, layout: StateLayout, link: Link<'worker'>): Promise<void> {
    if (this.#inFlight?.generation === of.generation && !of.isLast) return Promise.resolve();
    this.#inFlight = of;
    const copy = this.#copy(stateVectors(memory, layout).map(({ floats }) => floats));
    this.#settled = this.#settled
      .then(() => send(of, copy, layout, link))
      .finally(() => {
        if (this.#inFlight === of) this.#inFlight = null;
        this.#spare = copy;
      });
    return this.#settled;
  }

  #copy(vectors: readonly Float32Array[]): Float32Array[] {
    const copy = this.#spare ?? vectors.map(({ length }) => new Float32Array(length));
    this.#spare = null;
    for (const [i, vector] of vectors.entries()) copy[i]!.set(vector);
    return copy;
  }
}

async function send(
  { generation, step, isWanted }: SnapshotOf,
  copy: readonly Float32Array[],
  layout: StateLayout,
  link: Link<'worker'>,
): Promise<void> {
  for (const [i, section] of layout.sections.entries()) {
    const floats = copy[i]!;
    const bytes = new Uint8Array(floats.buffer);
    const message = (offset: number, piece: Uint8Array): MessageFrom<'worker'> => ({
      type: 'statePiece',
      generation,
      step,
      section: section.name,
      offset,
      total: bytes.length,
      bytes: piece,
    });
    const isWhole = await sendPieces(
      bytes,
      (offset, piece) => {
        if (!isWanted()) return false;
        return link.send(message(offset, piece));
      },
      () => link.drained(),
    );
    if (!isWhole) return;
  }
}

/** Throws LOCKSTEP_NOT_FINITE where a number of the state after `step` is not finite. */
export function checkFinite(step: number, memory: EngineMemory, layout: StateLayout): void {
  for (const [i, { floats }] of stateVectors(memory, layout).entries()) {
    const bad = notFiniteIn(floats);
    if (bad !== null) throw notFinite(step, layout.sections[i]!, bad);
  }
}

function notFinite(
  step: number,
  { name, tensors }: StateLayout['sections'][number],
  at: number,
): LockstepError {
  const tensor = tensors.find(({ offset, size }) => at >= offset && at < offset + size);
  return new LockstepError(
    'LOCKSTEP_NOT_FINITE',
    `after step ${step} ${tensor?.name ?? 'a gap'} of ${name} is not finite, so no checkpoint of it is kept; ` +
      'the one before stays. Try a smaller learning rate or clipNorm',
  );
}

/** The first index whose element is not finite, or null. */
function notFiniteIn(floats: Float32Array): number | null {
  // Plain loops, as there may be millions; x - x is 0 for finite x alone. Four sums do not wait for each other.
  let [a, b, c, d] = [0, 0, 0, 0];
  const end = floats.length;
  let i = 0;
  for (; i + 3 < end; i += 4) {
    a += floats[i]! - floats[i]!;
    b += floats[i + 1]! - floats[i + 1]!;
    c += floats[i + 2]! - floats[i + 2]!;
    d += floats[i + 3]! - floats[i + 3]!;
  }
  for (; i < end; i += 1) a += floats[i]! - floats[i]!;
  if (a + b + c + d === 0) return null;
  return floats.findIndex((each) => !Number.isFinite(each));
}

// Who watches a simulated run: each rule is checked from outside, against the quiet run, and breaks it with a line that says
// what must not be. They change nothing.

import type { MessageOf } from '../../proto/messages.ts';
import { batchRange, stepsPerEpoch } from '../../src/numerics/permutation.ts';
import { alignedFloats } from '../../worker/collective/floats.ts';
import { hashOf, lossOf, quietRun, type Task } from './arithmetic.ts';

export class Violation extends Error {}

/** Numbers of an evaluation: a function of the weights alone. */
export function evaluationOf(
  task: Task,
  state: Float32Array,
  firstShard: number,
  endShard: number,
): Float32Array {
  return Float32Array.from({ length: endShard - firstShard }, (_, i) =>
    lossOf(task, state, 0, firstShard + i),
  );
}

export class Observers {
  readonly #task: Task;
  readonly #quiet: readonly Float32Array[];
  readonly #hashes: readonly string[];
  #generation = 0;
  #acknowledged = 0;
  #members: readonly string[] = [];
  /** By generation and step: how often the gradient of each shard was computed. */
  readonly #computed = new Map<string, Uint8Array>();
  /** By worker: the newest (generation, step) it applied. */
  readonly #applied = new Map<string, { readonly generation: number; readonly step: number }>();
  readonly #committed = new Set<number>();

  constructor(task: Task) {
    this.#task = task;
    this.#quiet = quietRun(task);
    this.#hashes = this.#quiet.map(hashOf);
  }

  expect(holds: boolean, what: string): void {
    if (!holds) throw new Violation(`not so: ${what}`);
  }

  /** Generations only rise, over all coordinators there ever were: one membership forms at a time. */
  journalled(generation: number): void {
    this.expect(generation > this.#generation, `generation ${generation} is newer than ${this.#generation}`);
    this.#generation = generation;
  }

  formed(generation: number, journalled: number, workers: readonly string[]): void {
    this.#members = workers;
    this.expect(
      generation === journalled,
      `generation ${generation} is in the journal before anybody hears of it`,
    );
  }

  /** Nothing that was acknowledged is lost, and nothing that a member has applied. */
  aligned(step: number): void {
    for (const worker of this.#members) {
      const newest = this.#applied.get(worker)?.step ?? 0;
      this.expect(
        step >= newest,
        `the run goes on from step ${step}, not behind step ${newest} of ${worker}`,
      );
    }
    this.expect(
      step >= this.#acknowledged,
      `the run goes on from step ${step}, not behind the checkpoint of step ${this.#acknowledged}`,
    );
  }

  checkpointWritten(step: number, state: Float32Array): void {
    this.expect(
      hashOf(state) === this.#hashes[step],
      `the checkpoint of step ${step} is that of the quiet run`,
    );
  }

  checkpointAcknowledged(step: number): void {
    this.#acknowledged = Math.max(this.#acknowledged, step);
  }

  computed(generation: number, step: number, rank: number, firstShard: number, endShard: number): void {
    const key = `${generation}.${step}`;
    const counts = this.#computed.get(key) ?? new Uint8Array(this.#task.shards);
    for (let shard = firstShard; shard < endShard; shard += 1) counts[shard]! += 1;
    this.#computed.set(key, counts);
    this.expect(
      counts.every((count) => count <= 1),
      `rank ${rank} alone computes shards ${firstShard} to ${endShard} of step ${step} in generation ${generation}`,
    );
  }

  /** A worker applied a step: once, after the one before, with every shard in it, and with the quiet run's bits. */
  committed(worker: string, membership: MessageOf<'membership'>, step: number, state: Float32Array): void {
    const { generation } = membership;
    const where = `step ${step} by ${worker} in generation ${generation}`;
    const before = this.#applied.get(worker);
    const isNext = before?.generation !== generation || before.step + 1 === step;
    this.expect(isNext, `${where} is applied once, after the one before`);
    this.expect(
      before === undefined || before.generation <= generation,
      `${where}: no generation comes back`,
    );
    this.#applied.set(worker, { generation, step });
    const counts = this.#computed.get(`${generation}.${step}`);
    this.expect(counts?.every((count) => count === 1) ?? false, `${where} has every shard once`);
    this.expect(hashOf(state) === this.#hashes[step], `${where} has the bits of the quiet run`);
    this.#committed.add(step);
  }

  reported({ step, sums }: MessageOf<'report'>): void {
    const state = this.#quiet[step - 1]!;
    const isRight = alignedFloats(sums).every(
      (loss, shard) => loss === lossOf(this.#task, state, step, shard),
    );
    this.expect(isRight, `step ${step} is told with its losses`);
  }

  evaluated(step: number, parts: readonly MessageOf<'evaluation'>[]): void {
    const told = parts.flatMap(({ sums }) => [...alignedFloats(sums)]);
    const right = evaluationOf(this.#task, this.#quiet[step]!, 0, this.#task.shards);
    this.expect(
      told.length === right.length && right.every((loss, i) => loss === told[i]),
      `the evaluation after step ${step} is that of the quiet run`,
    );
  }

  ended(step: number, sha: string, checkpoint: Float32Array | undefined): void {
    this.expect(sha === this.#hashes[step], `the run ends after step ${step} with the hash of the quiet run`);
    this.expect(
      checkpoint !== undefined && hashOf(checkpoint) === sha,
      `the end after step ${step} is on disk as a checkpoint`,
    );
    if (step === this.#task.steps) this.#everySampleOnce();
  }

  /** Which samples a step takes is a function of the step: every epoch's are then taken once if each step is there. */
  #everySampleOnce(): void {
    const samples = 37;
    const batch = 8;
    const perEpoch = stepsPerEpoch(samples, batch);
    const taken = new Map<number, number>();
    for (const step of this.#committed) {
      const { epoch, from, to } = batchRange(step - 1, samples, batch);
      taken.set(epoch, (taken.get(epoch) ?? 0) + to - from);
    }
    for (let epoch = 0; (epoch + 1) * perEpoch <= this.#task.steps; epoch += 1)
      this.expect(taken.get(epoch) === samples, `epoch ${epoch} takes each of its samples once`);
    this.expect(this.#committed.size === this.#task.steps, 'each step was committed');
  }
}

// Why a step's loss is not finite: the step once more on one lane, instruction by instruction, every result looked
// through, from the weights before it. Names the shard and the first tensor that went bad.

import { compileProgram, type Program } from '../../src/compile/compile.ts';
import { type Item, writesOf } from '../../src/compile/instructions.ts';
import type { Dataset } from '../../src/data/dataset.ts';
import { Lane } from '../../src/engine/lane.ts';
import { EngineMemory } from '../../src/engine/memory.ts';
import { shardNotFinite } from '../../src/engine/reports.ts';
import type { StepSchedule } from '../../src/engine/schedule.ts';
import { LockstepError } from '../../src/errors.ts';
import type { Backend } from '../../src/kernels/backend.ts';
import { shardStart } from '../../src/numerics/tree.ts';
import { type RunModel, stateVectors } from '../engine.ts';
import type { LanePool } from '../lanes/lane-pool.ts';

export interface DiagnoseOptions {
  readonly run: RunModel;
  readonly lanes: LanePool;
  readonly dataset: Dataset;
  readonly schedule: StepSchedule;
  readonly backend: Backend;
  readonly step: number;
  /** [shards][reports] of the step. */
  readonly sums: Float32Array;
}

interface Finding {
  /** Null where the tensor is not of single samples. */
  readonly shard: number | null;
  readonly tensor: string;
}

/** The error to end the run with. */
export async function diagnose(options: DiagnoseOptions): Promise<LockstepError> {
  const { run, step, sums } = options;
  const { shards } = run.config;
  const badLoss = shardNotFinite(sums, shards);
  const finding = firstNotFinite(options);
  const shard = finding?.shard ?? badLoss;
  const tensor = finding?.tensor ?? 'the loss';
  return new LockstepError(
    'LOCKSTEP_NOT_FINITE',
    `the loss is not finite in step ${step}, shard ${shard}: first bad tensor is ${tensor}. ` +
      'The weights are those before this step; try a smaller learning rate, clipNorm, or look at the data',
  );
}

function firstNotFinite(options: DiagnoseOptions): Finding | null {
  const { run, lanes, dataset, schedule, backend, step } = options;
  const { shards } = run.config;
  for (const { name, offset, size } of lanes.memory.compiled.parameters) {
    if (badIndex(lanes.memory.parameters, offset, size) >= 0)
      return { shard: null, tensor: `parameter ${name}` };
  }
  const program = compileProgram({
    ...run.compileOptions({ shards, firstShard: 0, endShard: shards, boundaries: [0, shards], lanes: 1 }),
    tables: 1,
  });
  const arena = backend.createArena(program.compiled.arenaSize);
  const memory = new EngineMemory(program.compiled, arena);
  const runner = backend.attach(arena.handle, 0);
  const from = stateVectors(lanes.memory, run.layout);
  for (const [i, { floats }] of stateVectors(memory, run.layout).entries()) floats.set(from[i]!.floats);
  const plan = schedule.at(step);
  memory.writeStepTable(0, plan);
  const table = memory.tableAt(0);
  const samples = plan.sampleIds.length;
  const shardOf = (row: number): number => {
    let shard = 0;
    while (shardStart(shard + 1, samples, shards) <= row) shard += 1;
    return shard;
  };
  const { inputs, inputSize } = program.compiled;
  const gatherOnly = { segment: { stretches: [] }, table, gather: 'train' as const };
  new Lane(program.compiled, runner, 0, dataset).run(gatherOnly, () => undefined);
  const badInput = badIndex(arena.floats, inputs.offset, samples * inputSize);
  if (badInput >= 0) {
    const row = Math.floor(badInput / inputSize);
    return { shard: shardOf(row), tensor: `the input (sample ${plan.sampleIds[row]})` };
  }
  return firstBadResult(
    program,
    samples,
    shardOf,
    (fromWord, toWord) => runner.run(fromWord, toWord, table),
    arena,
  );
}

/** Runs one instruction after another up to the loss. */
function firstBadResult(
  program: Program,
  samples: number,
  shardOf: (row: number) => number,
  run: (from: number, to: number) => void,
  { floats, ints }: { readonly floats: Float32Array | Float64Array; readonly ints: Int32Array },
): Finding | null {
  let word = program.compiled.programOffset;
  for (const item of program.step) {
    if (item.kind === 'guard') return null;
    if (item.kind !== 'kernel' && item.kind !== 'barrier') continue;
    const next = word + ints[word + 1]!;
    run(word, next);
    word = next;
    for (const { buffer, from } of floatResults(item)) {
      const offset = program.places.get(buffer)! + from;
      const size = buffer.rowSize === null ? buffer.size - from : samples * buffer.rowSize;
      const bad = badIndex(floats, offset, size);
      if (bad < 0) continue;
      const shard = buffer.rowSize === null ? null : shardOf(Math.floor(bad / buffer.rowSize));
      return { shard, tensor: `${buffer.name} (${item.kind === 'kernel' ? item.kernel : item.kind})` };
    }
  }
  return null;
}

/** Indices of a maximum are not floats; partial gradients are sums still in the making. */
function floatResults(item: Item): ReturnType<typeof writesOf> {
  if (item.kind !== 'kernel' || item.kernel === 'fill') return [];
  return writesOf(item).filter(
    (reference) => reference !== item.args.choice && reference.repeat === undefined,
  );
}

function badIndex(floats: ArrayLike<number>, offset: number, size: number): number {
  for (let i = 0; i < size; i += 1) if (!Number.isFinite(floats[offset + i]!)) return i;
  return -1;
}

// The lanes in real threads (from dist/): any number of lanes ends with the bytes of the calling thread, events come while
// lanes go on, and a lane that fails is an error, never a hang.

import { afterEach, describe, expect, it } from 'vitest';
import { compileModel } from '../../../../src/compile/compile.ts';
import type { CompiledModel } from '../../../../src/engine/contract.ts';
import type { Splits } from '../../../../src/engine/lane.ts';
import type { EngineMemory } from '../../../../src/engine/memory.ts';
import { StepSchedule } from '../../../../src/engine/schedule.ts';
import type { Backend } from '../../../../src/kernels/backend.ts';
import { nativeBackend } from '../../../../src/kernels/native/backend.ts';
import { referenceBackend } from '../../../../src/kernels/reference/backend.ts';
import { wasmBackend } from '../../../../src/kernels/wasm/backend.ts';
import { initialValues } from '../../../../src/nn/initialize.ts';
import { LanePool } from '../../../../worker/lanes/lane-pool.ts';
import { LaneThreads } from '../../../../worker/lanes/lane-threads.ts';
import { cnn, mlp } from '../../engine/jobs.ts';
import { classSamples } from '../../engine/samples.ts';
import { type Job, prepare, World } from '../../engine/world.ts';

const samples = 45;
const steps = 20;
const splits = classSamples(samples, 72, 3);
const open: LaneThreads[] = [];

afterEach(async () => {
  for (const threads of open.splice(0)) await threads.close();
});

function compile(job: Job, lanes: number, endShard = job.shards): CompiledModel {
  const { shards, batch, clipNorm, bucketBytes } = job;
  const boundaries = endShard === shards ? [0, shards] : [0, endShard, shards];
  const assignment = { shards, firstShard: 0, endShard, boundaries, lanes };
  return compileModel({ ...prepare(job), clipNorm, batch, bucketBytes, assignment });
}

function startThreads(backend: Backend, lanes: number): LaneThreads {
  const threads = new LaneThreads(backend, lanes);
  open.push(threads);
  return threads;
}

function openPool(job: Job, compiled: CompiledModel, backend: Backend): Promise<LanePool> {
  return attach(job, compiled, startThreads(backend, compiled.assignment.lanes));
}

async function attach(
  job: Job,
  compiled: CompiledModel,
  threads: LaneThreads,
  rows: Splits = splits,
): Promise<LanePool> {
  const pool = await LanePool.create({ compiled, threads, splits: rows });
  const { model } = prepare(job);
  pool.memory.setParameters(initialValues(model.parameters, job.seed));
  pool.memory.setStatistics(initialValues(model.statistics, job.seed));
  return pool;
}

const scheduleOf = (job: Job): StepSchedule =>
  new StepSchedule({ ...job, samples, optimizer: prepare(job).optimizer });

const stateOf = ({ parameters, statistics, slots }: EngineMemory): string =>
  [parameters, statistics, ...slots]
    .map((flat) => Buffer.from(Float32Array.from(flat).buffer).toString('base64'))
    .join();

function trainInline(job: Job, backend: Backend): string {
  const world = new World(job, [0, job.shards], backend, splits);
  const schedule = scheduleOf(job);
  for (let step = 1; step <= steps; step += 1) world.step(schedule.at(step));
  return stateOf(world.workers[0]!.memory);
}

const backends: [string, () => Backend][] = [
  ['reference', () => referenceBackend(32)],
  ['native', () => nativeBackend()],
  ['wasm', () => wasmBackend()],
];

const isAvailable = (backendOf: () => Backend): boolean => {
  try {
    backendOf();
    return true;
  } catch {
    return false;
  }
};

for (const [name, backendOf] of backends) {
  describe.skipIf(!isAvailable(backendOf))(`lanes on the ${name} backend`, () => {
    it.each([
      ['mlp', mlp],
      ['cnn', cnn],
    ])('%s: 1, 2 and 3 lanes end with the bytes of the calling thread', async (_, job) => {
      const backend = backendOf();
      const expected = trainInline(job, backend);
      for (const lanes of [1, 2, 3]) {
        const pool = await openPool(job, compile(job, lanes), backend);
        const schedule = scheduleOf(job);
        const { count } = pool.memory.compiled.tables;
        for (let step = 1; step <= steps; step += count) {
          const ahead = Math.min(count, steps + 1 - step);
          for (let i = 0; i < ahead; i += 1) pool.memory.writeStepTable(i, schedule.at(step + i));
          expect(await pool.runAlone(0, ahead)).toBe(ahead);
        }
        expect(stateOf(pool.memory)).toBe(expected);
      }
    });

    it('turns a failing lane into an error while the other lanes wait for it', async () => {
      const compiled = compile(mlp, 3);
      // Nothing to gather rows from, and rows of the last lane alone: its gathering throws.
      const nothing = { inputs: [], targets: [] } as unknown as Splits['train'];
      const threads = startThreads(backendOf(), 3);
      const pool = await attach(mlp, compiled, threads, { train: nothing, test: splits.test });
      const rows = pool.memory.writeStepTable(0, scheduleOf(mlp).at(1));
      const laneRows = pool.memory.arena.ints[pool.memory.tableAt(0) + 12]!;
      pool.memory.arena.ints.set([0, 0, 0, rows], laneRows);
      await expect(pool.runAlone(0, 1)).rejects.toMatchObject({ code: 'LOCKSTEP_WORKER_FAILED' });
      await expect(pool.runAlone(0, 1)).rejects.toMatchObject({ code: 'LOCKSTEP_INTERNAL' });
    });
  });
}

describe('a pool', () => {
  it('runs the segments of a step one by one, with peers, and tells events in order', async () => {
    const compiled = compile(cnn, 2, 5);
    const pool = await openPool(cnn, compiled, referenceBackend(32));
    pool.memory.writeStepTable(0, scheduleOf(cnn).at(1));
    const heard: string[] = [];
    for (const [index, segment] of compiled.step.entries()) {
      await pool.run(segment, 0, { gather: index === 0 ? 'train' : null }, (event) => {
        heard.push(event.kind === 'emit' ? `emit ${event.bucket}` : `exchange ${event.exchange}`);
      });
    }
    const expected = compiled.step.flatMap(({ stretches }) =>
      stretches.flatMap(({ event }) =>
        event ? [event.kind === 'emit' ? `emit ${event.bucket}` : `exchange ${event.exchange}`] : [],
      ),
    );
    expect(heard).toEqual(expected);
    expect(heard.filter((event) => event.startsWith('emit'))).toHaveLength(compiled.buckets.length);
  });

  it('evaluates: the prediction lies in the output, the reports by shard', async () => {
    const compiled = compile(mlp, 2);
    const pool = await openPool(mlp, compiled, referenceBackend(32));
    const rows = pool.memory.writeStepTable(0, {
      ...scheduleOf(mlp).at(1),
      sampleIds: Uint32Array.from({ length: 11 }, (_, i) => i),
    });
    await pool.run(compiled.evaluate, 0, { gather: 'test' });
    expect(rows).toBe(11);
    const prediction = pool.memory.output.subarray(0, rows * 3);
    expect(prediction.every((value) => Number.isFinite(value) && value !== 0)).toBe(true);
    const losses = pool.memory.readReports(0).filter((_, i) => i % 2 === 0);
    expect(losses.reduce((sum, loss) => sum + loss, 0) / rows).toBeGreaterThan(0.3);
  });

  it('applies no step whose loss is not finite, and none after it', async () => {
    const pool = await openPool(mlp, compile(mlp, 2), referenceBackend(32));
    const schedule = scheduleOf(mlp);
    for (let i = 0; i < 3; i += 1) {
      const plan = schedule.at(i + 1);
      pool.memory.writeStepTable(i, i === 0 ? { ...plan, learningRate: 1e38 } : plan);
    }
    expect(await pool.runAlone(0, 3)).toBe(1);
    const losses = pool.memory.readReports(1).filter((_, i) => i % 2 === 0);
    expect(losses.every(Number.isFinite)).toBe(false);
  });

  it('closed in the middle of a run ends its threads, and the run is an error', async () => {
    const pool = await openPool(cnn, compile(cnn, 2), referenceBackend(32));
    const schedule = scheduleOf(cnn);
    for (let i = 0; i < 16; i += 1) pool.memory.writeStepTable(i, schedule.at(i + 1));
    const run = pool.runAlone(0, 16);
    const outcome = expect(run).rejects.toMatchObject({ code: 'LOCKSTEP_WORKER_FAILED' });
    pool.close();
    await outcome;
  });

  it('takes the threads of the one before, whatever its program was', async () => {
    const backend = referenceBackend(32);
    const threads = startThreads(backend, 2);
    const before = await attach(cnn, compile(cnn, 2, 5), threads);
    const { control } = threads;
    before.close();
    const pool = await attach(mlp, compile(mlp, 2), threads);
    const schedule = scheduleOf(mlp);
    for (let step = 1; step <= steps; step += 1) {
      pool.memory.writeStepTable(0, schedule.at(step));
      expect(await pool.runAlone(0, 1)).toBe(1);
    }
    expect(stateOf(pool.memory)).toBe(trainInline(mlp, backend));
    expect(threads.control).toBe(control);
  });

  it('gets other threads where a lane of the one before failed, or was still running', async () => {
    const threads = startThreads(referenceBackend(32), 2);
    const failing = await attach(mlp, compile(mlp, 2), threads);
    const { control } = threads;
    failing.memory.writeStepTable(0, scheduleOf(mlp).at(1));
    failing.memory.arena.ints[failing.memory.arena.ints[failing.memory.tableAt(0) + 12]! + 2] = 2 ** 30;
    await expect(failing.runAlone(0, 1)).rejects.toMatchObject({ code: 'LOCKSTEP_WORKER_FAILED' });
    const running = await attach(mlp, compile(mlp, 2), threads);
    expect(threads.control).not.toBe(control);
    running.memory.writeStepTable(0, scheduleOf(mlp).at(1));
    const run = expect(running.runAlone(0, 1)).rejects.toMatchObject({ code: 'LOCKSTEP_WORKER_FAILED' });
    running.close();
    await run;
    const pool = await attach(mlp, compile(mlp, 2), threads);
    pool.memory.writeStepTable(0, scheduleOf(mlp).at(1));
    expect(await pool.runAlone(0, 1)).toBe(1);
  });

  it('frees the arenas of those before: many together are more than ever are there', async () => {
    const mebibyte = 2 ** 20;
    const arenas = 24;
    const compiled = { ...compile(mlp, 1), arenaSize: 8 * mebibyte };
    const threads = startThreads(referenceBackend(32), 1);
    const before = process.memoryUsage().rss;
    let most = 0;
    for (let i = 0; i < arenas; i += 1) {
      const pool = await LanePool.create({ compiled, threads, splits });
      pool.memory.arena.ints.fill(1);
      pool.close();
      most = Math.max(most, process.memoryUsage().rss - before);
    }
    expect(arenas * compiled.arenaSize * 4).toBe(768 * mebibyte);
    expect(most).toBeLessThan(512 * mebibyte);
  });

  it.each([1, 2])('overtaken while it is made does the next one no harm, %i lanes', async (lanes) => {
    const threads = startThreads(referenceBackend(32), lanes);
    for (let round = 0; round < 5; round += 1) {
      const running = await attach(mlp, compile(mlp, lanes), threads);
      running.memory.writeStepTable(0, scheduleOf(mlp).at(1));
      const run = running.runAlone(0, 1);
      const overtaken = Array.from({ length: 6 }, () => attach(mlp, compile(mlp, lanes), threads));
      // Ends the threads, and with them what waits for them.
      if (round % 2 === 0) running.close();
      const next = attach(mlp, compile(mlp, lanes), threads);
      for (const end of await Promise.allSettled([run, ...overtaken])) {
        if (end.status === 'rejected') expect(end.reason).toMatchObject({ code: 'LOCKSTEP_WORKER_FAILED' });
      }
      const pool = await next;
      pool.memory.writeStepTable(0, scheduleOf(mlp).at(1));
      expect(await pool.runAlone(0, 1)).toBe(1);
    }
  });

  it('says at its start that a backend cannot be had', async () => {
    const compiled = compile(mlp, 2);
    const backend = { ...referenceBackend(32), name: 'native' as const, variant: 'sparc' };
    const threads = startThreads(backend, 2);
    await expect(LanePool.create({ compiled, threads, splits })).rejects.toMatchObject({
      code: 'LOCKSTEP_BACKEND_UNAVAILABLE',
    });
  });
});

// The profile of a training step: its instructions, what they cost, and how their times are told.

import { describe, expect, it } from 'vitest';
import { linearCalls } from '../../../bench/kernels/linear.ts';
import { assignmentOf } from '../../../bench/profile/measure.ts';
import { profileRows } from '../../../bench/profile/report.ts';
import { timelineOf } from '../../../bench/profile/timeline.ts';
import { loadWorkloads } from '../../../bench/workloads.ts';
import { compileProgram, type Program } from '../../../src/compile/compile.ts';
import { modelOfRun } from '../../../worker/engine.ts';

async function programOf(name: string, world: number, lanes: number): Promise<Program> {
  const [workload] = await loadWorkloads([name]);
  const { config } = workload!;
  const [classes, inputShape] = [name === 'w4-b256' ? 1000 : 10, config.model.input];
  const run = modelOfRun(config, { inputShape, targetSize: 1, classes });
  return compileProgram(run.compileOptions(assignmentOf(config.shards, world, lanes)));
}

describe('timeline of a step', () => {
  it.each(['w1-b32', 'w2-b64', 'w3-b64', 'w4-b256'])(
    'of %s has the operations a sample is said to cost',
    async (name) => {
      const [workload] = await loadWorkloads([name]);
      const flops = timelineOf(await programOf(name, 1, 1), 1).reduce(
        (sum, instruction) => sum + instruction.flops,
        0,
      );
      expect(flops / workload!.flopsPerSample).toBeCloseTo(1, 3);
    },
  );

  it('covers the words of forward, backward and update without a gap, alone and with peers', async () => {
    for (const world of [1, 2]) {
      const program = await programOf('w3-b64', world, 2);
      const { compiled } = program;
      const stretches = [...compiled.step, ...compiled.update].flatMap((segment) => segment.stretches);
      const words = stretches.reduce((sum, { from, to }) => sum + to - from, 0);
      const instructions = timelineOf(program, 64);
      expect(instructions.reduce((sum, { from, to }) => sum + to - from, 0)).toBe(words);
      expect(instructions.find(({ kernel }) => kernel === 'convForward')?.subject).toMatch(/^conv1/);
    }
  });

  it('names each dense and convolution call of a shape once', async () => {
    const program = await programOf('w1-b128', 1, 1);
    const { compiled } = program;
    const words = new Int32Array(compiled.programOffset + compiled.program.length);
    words.set(compiled.program, compiled.programOffset);
    const calls = linearCalls(timelineOf(program, 128), words, 128);
    expect(calls.map(({ kernel, shape }) => `${kernel} ${shape}`)).toContain(
      'denseInputGradient 128 x 512 -> 512',
    );
    expect(calls).toHaveLength(8);
  });
});

describe('rows of a profile', () => {
  it('take the tenth percentile of each lane after the warm-up', () => {
    const steps = Array.from({ length: 20 }, (_, step) => [0, step < 5 ? 0.5 : 10 - step / 10]);
    const kernel = 'adam' as const;
    const instruction = { kernel, subject: 'weights', from: 0, to: 2, flops: 0, bytes: 8 };
    const times = [steps, steps.map(([gather, ms]) => [gather!, 2 * ms!])];
    const rows = profileRows({ instructions: [instruction], rows: 4, lanes: 2, times });
    expect(rows.map(({ kernel }) => kernel)).toEqual(['gather', 'adam']);
    expect(rows[1]!.laneMs[0]).toBeCloseTo(8.2);
    expect(rows[1]!.ms).toBeCloseTo(1.5 * 8.2);
  });
});

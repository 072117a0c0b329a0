// Memory safety of whole steps. A run is made twice, instruction by instruction: as it is planned, and with guards around
// every buffer and NaN in whatever nobody has written (watched-backend.ts). A store outside of an instruction's outputs is
// seen at once; a load outside of its operands gives other outputs than in the plain run.

import { compileProgram } from '../../src/compile/compile.ts';
import type { Splits } from '../../src/engine/lane.ts';
import { evaluationPlans, StepSchedule } from '../../src/engine/schedule.ts';
import type { Backend } from '../../src/kernels/backend.ts';
import { optimizerSchema } from '../../src/optim/optimizer.ts';
import { type Job, World } from '../unit/engine/world.ts';
import { gapFloats, staleWord, watchedBackend } from './watched-backend.ts';

export interface GuardedOptions {
  /** float32. */
  readonly backend: Backend;
  readonly job: Job;
  readonly splits: Splits;
  /** Training samples in `splits`; 0 for an evaluation alone. */
  readonly samples: number;
  /** First shard of every worker, and the number of shards; one worker unless given. */
  readonly boundaries?: readonly number[];
  /** Lanes that run each instruction, one after the other; 1 unless given. */
  readonly lanes?: number;
  /** Training steps; 2 unless given. An evaluation of the first batch of the test split follows where there is one. */
  readonly steps?: number;
}

export interface GuardedResult {
  /** The bytes of every worker's parameters, statistics and slots. */
  readonly states: readonly Buffer[];
  /** Instructions that were run and checked. */
  readonly instructions: number;
}

interface Executed {
  readonly instruction: string;
  readonly outputs: readonly Int32Array[];
}

/**
 * Trains `steps` steps and evaluates, with and without guards. Throws an Error that names the instruction where it stores
 * or loads outside of its operands, or where the two runs end with other bytes.
 */
export function runGuarded(options: GuardedOptions): GuardedResult {
  const { job, samples, steps = 2 } = options;
  const plain: Executed[] = [];
  let instructions = 0;
  const worldOf = (
    guarded: boolean,
    onOutputs: (instruction: string, outputs: Executed['outputs']) => void,
  ) =>
    new World(job, options.boundaries ?? [0, job.shards], options.backend, options.splits, {
      make: (compileOptions) => {
        const program = compileProgram({ ...compileOptions, gapFloats: guarded ? gapFloats : 0 });
        const { backend, lanes = 1 } = options;
        return {
          compiled: program.compiled,
          backend: watchedBackend({ backend, program, guarded, lanes, onOutputs }),
        };
      },
    });
  const planned = worldOf(false, (instruction, outputs) => plain.push({ instruction, outputs }));
  const guarded = worldOf(true, (instruction, outputs) => {
    const expected = plain[instructions]!;
    instructions += 1;
    compare(instruction, expected, outputs);
  });
  const both = (act: (world: World) => void): void => {
    plain.length = 0;
    const before = instructions;
    instructions = 0;
    act(planned);
    act(guarded);
    instructions += before;
  };

  const schedule = new StepSchedule({ ...job, samples, optimizer: optimizerSchema.parse(job.optimizer) });
  for (let step = 1; step <= steps && samples > 0; step += 1) both((world) => world.step(schedule.at(step)));
  const states = guarded.states();
  if (planned.states().some((state, rank) => !state.equals(states[rank]!)))
    throw new Error('the guarded run ends with other weights than the plain one');
  const tests = options.splits.test.targets.length / guarded.workers[0]!.memory.compiled.targetSize;
  const [plan] = evaluationPlans(tests, job.batch);
  if (plan) {
    both((world) => {
      for (const worker of world.workers) {
        worker.memory.writeStepTable(0, plan);
        worker.run(worker.memory.compiled.evaluate, 0, 'test');
      }
    });
  }
  return { states, instructions };
}

/** Outputs must agree but where nobody wrote them in the guarded run. Any NaN equals any other. */
function compare(instruction: string, expected: Executed, outputs: Executed['outputs']): void {
  if (expected.instruction !== instruction)
    throw new Error(`${expected.instruction} ran in the plain run, ${instruction} in the guarded one`);
  outputs.forEach((words, output) => {
    const plain = expected.outputs[output]!;
    const at = words.findIndex((word, i) => {
      const same = word === plain[i] || word === staleWord || (isNaNWord(word) && isNaNWord(plain[i]!));
      return !same;
    });
    if (at >= 0)
      throw new Error(
        `${instruction} reads outside of its operands, or what nobody has written: word ${at} of output ${output} is ` +
          `${hex(words[at]!)} with guards, ${hex(plain[at]!)} without`,
      );
  });
}

function isNaNWord(word: number): boolean {
  return (word & 0x7fffffff) > 0x7f800000;
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0');
}

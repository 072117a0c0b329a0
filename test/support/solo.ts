// One worker with one lane in this very thread: a model stepped directly on a backend, with everything open to tests.

import { differentiate } from '../../src/autodiff/differentiate.ts';
import { compileModel } from '../../src/compile/compile.ts';
import type { CompiledModel, Segment } from '../../src/engine/contract.ts';
import { EngineMemory, type Floats } from '../../src/engine/memory.ts';
import type { LossKind } from '../../src/ir/ops.ts';
import type { Backend, LaneRunner } from '../../src/kernels/backend.ts';
import { decodeStepTable, resultsHeader } from '../../src/kernels/step-table.ts';
import { buildModel, type Model } from '../../src/nn/build.ts';
import { type MetricName, type ModelInput, modelSchema } from '../../src/nn/description.ts';
import {
  biasCorrections,
  type OptimizerDescription,
  type OptimizerInput,
  optimizerSchema,
} from '../../src/optim/optimizer.ts';
import { learningRateAt } from '../../src/optim/schedule.ts';

export interface SoloOptions {
  readonly backend: Backend;
  readonly model: ModelInput;
  readonly loss: LossKind;
  readonly metrics?: readonly MetricName[];
  readonly optimizer: OptimizerInput;
  readonly clipNorm?: number | undefined;
  readonly batch: number;
  readonly shards: number;
  readonly seed?: number;
}

export class Solo {
  readonly model: Model;
  readonly compiled: CompiledModel;
  readonly #memory: EngineMemory;
  readonly #runner: LaneRunner;
  readonly #optimizer: OptimizerDescription;
  readonly #seed: number;
  #rows = 0;

  constructor(options: SoloOptions) {
    const { backend, batch, shards, clipNorm, loss, metrics = [] } = options;
    this.model = buildModel(modelSchema.parse(options.model), { loss, metrics });
    this.#optimizer = optimizerSchema.parse(options.optimizer);
    this.#seed = options.seed ?? 1;
    this.compiled = compileModel({
      model: this.model,
      training: differentiate(this.model.graph),
      optimizer: this.#optimizer,
      clipNorm,
      batch,
      assignment: { shards, firstShard: 0, endShard: shards, boundaries: [0, shards], lanes: 1 },
      tables: 1,
    });
    this.#memory = new EngineMemory(this.compiled, backend.createArena(this.compiled.arenaSize));
    this.#runner = backend.attach(this.#memory.arena.handle, 0);
  }

  /** A trained tensor or a statistic, by name, as it lies in the arena. */
  tensor(name: string): Floats {
    return this.#find(name, 'parameters') ?? this.#find(name, 'statistics')!;
  }

  /** The sum over samples of the gradient of a parameter. */
  gradient(name: string): Floats {
    return this.#find(name, 'gradient')!;
  }

  /** The batch: inputs [rows, ...inputShape] and targets [rows, targetSize]. */
  load(inputs: readonly number[], targets: readonly number[]): void {
    const { floats } = this.#memory.arena;
    floats.set(inputs, this.compiled.inputs.offset);
    floats.set(targets, this.compiled.targets.offset);
    this.#rows = targets.length / this.compiled.targetSize;
  }

  /** One training step, from 1; the reports' sums over samples by name, and the gradient's norm where it is clipped. */
  step(step: number): Record<string, number> {
    return this.#run(this.compiled.step, step);
  }

  /** The batch in inference mode. */
  evaluate(): { reports: Record<string, number>; output: number[] } {
    const reports = this.#run([this.compiled.evaluate], 1);
    const output = this.#memory.output.subarray(0, this.#rows * this.compiled.outputSize);
    return { reports, output: [...output] };
  }

  #run(segments: readonly Segment[], step: number): Record<string, number> {
    const { shards } = this.compiled.assignment;
    const table = this.#memory.tableAt(0);
    this.#memory.writeStepTable(0, {
      step,
      seed: this.#seed,
      sampleIds: Array.from({ length: this.#rows }, (_, row) => row),
      learningRate: learningRateAt(this.#optimizer.learningRate, step),
      biasCorrections: biasCorrections(this.#optimizer, step),
    });
    for (const { stretches } of segments) {
      for (const { from, to } of stretches) this.#runner.run(from, to, table);
    }
    // Read from the arena itself: in float64 the differences of losses need all their digits.
    const { floats, ints } = this.#memory.arena;
    const { resultsOffset } = decodeStepTable(ints, table);
    const { reports } = this.compiled;
    const sums = reports.map((name, report) => {
      const at = (shard: number): number =>
        floats[resultsOffset + resultsHeader + shard * reports.length + report]!;
      return [name, Array.from({ length: shards }, (_, shard) => at(shard)).reduce((a, b) => a + b, 0)];
    });
    return { ...Object.fromEntries(sums), norm: this.#memory.gradientNorm(0) };
  }

  #find(name: string, kind: 'parameters' | 'statistics' | 'gradient'): Floats | undefined {
    const { compiled } = this;
    const tensor = (kind === 'statistics' ? compiled.statistics : compiled.parameters).find(
      (other) => other.name === name,
    );
    return tensor && this.#memory[kind].subarray(tensor.offset, tensor.offset + tensor.size);
  }
}

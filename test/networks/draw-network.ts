// Draws a network with everything that a training run needs, as data: chains and graphs over every layer, branches
// without parameters, shared inputs, repeated activations, maps of 1 x 1, ragged batches, empty shards, one output.

import { LockstepError } from '../../src/errors.ts';
import type { Shape, ValueId } from '../../src/ir/graph.ts';
import { GraphBuilder } from '../../src/ir/graph-builder.ts';
import type { LossKind } from '../../src/ir/ops.ts';
import { row, sizeOf, whole } from '../../src/ir/shapes.ts';
import {
  type LayerInput,
  type LayerType,
  layerSchema,
  layerTable,
  layerTypes,
  type MetricName,
  type ModelInput,
} from '../../src/nn/description.ts';
import type { LayerContext } from '../../src/nn/layers/layer.ts';
import type { OptimizerInput } from '../../src/optim/optimizer.ts';
import type { Job } from '../unit/engine/world.ts';
import { Draw } from './draw.ts';

/** A job with its data set's size. Everything in it is JSON. */
export interface Network extends Job {
  readonly samples: number;
}

/** Elements of one sample's largest tensor, and multiply-adds of one sample. */
const tensorSizeMax = 1_500;
const workMax = 60_000;
const layersMax = 14;

interface Tensor {
  readonly name: string;
  readonly id: ValueId;
  readonly shape: Shape;
}

/** The network of a seed. */
export function drawNetwork(seed: number): Network {
  const draw = new Draw(seed);
  for (;;) {
    const network = new NetworkDrawer(draw).draw();
    if (network !== null) return network;
  }
}

class Refused extends Error {}

class NetworkDrawer {
  readonly #draw: Draw;
  readonly #builder = new GraphBuilder();
  readonly #layers: LayerInput[] = [];
  readonly #tensors: Tensor[] = [];
  readonly #unread = new Set<string>();
  /** Widths that recur in this network, so that tensors of one shape meet. */
  readonly #widths: readonly number[];
  #work = 0;
  #parameters = 0;
  #dropouts = 0;

  constructor(draw: Draw) {
    this.#draw = draw;
    this.#widths = [draw.size(33), draw.size(17), draw.size(9)];
  }

  /** Null where this attempt has nothing to train, or outgrew its limits. */
  draw(): Network | null {
    const draw = this.#draw;
    const input = this.#drawInput();
    const id = this.#builder.source('input', { name: 'input' }, row(...input), 'input');
    this.#tensors.push({ name: 'input', id, shape: input });
    const count = draw.integer(1, layersMax - 3);
    while (this.#layers.length < count) {
      if (draw.chance(0.25)) this.#drawResidual();
      else this.#drawLayer();
    }
    const loss = draw.pick<LossKind>(['softmaxCrossEntropy', 'sigmoidCrossEntropy', 'meanSquaredError']);
    this.#join(loss);
    if (this.#parameters === 0) return null;
    const batch = this.#drawBatch();
    return {
      model: { input: [...input] as ModelInput['input'], layers: this.#layers },
      options: { loss, metrics: this.#drawMetrics(loss) },
      optimizer: drawOptimizer(draw),
      ...(draw.chance(0.3) ? { clipNorm: draw.pick([1e-3, 0.1, 1, 100]) } : {}),
      batch,
      shards: draw.size(9),
      seed: draw.word(),
      bucketBytes: draw.pick([64, 400, 4096, 1 << 20]),
      samples: Math.max(1, draw.pick([batch, batch + 1, 2 * batch - 1, draw.integer(1, 2 * batch)])),
    };
  }

  #drawInput(): number[] {
    const draw = this.#draw;
    if (draw.chance(0.35)) return [draw.chance(0.5) ? draw.pick(this.#widths) : draw.size(65)];
    const side = (): number => (draw.chance(0.3) ? 1 : draw.integer(1, 9));
    return [side(), side(), draw.chance(0.5) ? draw.pick(this.#widths) : draw.size(17)];
  }

  /** Tries layers until one is accepted; some do not fit any tensor there is. A relu of the newest tensor always does. */
  #drawLayer(): void {
    for (let attempt = 0; attempt < 20; attempt += 1) {
      const layer = this.#propose(this.#draw.weighted(layerWeights));
      if (layer !== null && this.#accept(layer)) return;
    }
    this.#mustAccept({ type: 'relu', name: this.#nextName(), input: this.#tensors.at(-1)!.name });
  }

  /** Layers that keep a tensor's shape, the sum of what they give and that tensor, and often an activation. */
  #drawResidual(): void {
    const draw = this.#draw;
    const start = this.#source();
    const { shape } = start;
    let end = start;
    for (let i = draw.integer(1, 3); i > 0; i -= 1) {
      const common = { name: this.#nextName(), input: end.name };
      const type = draw.pick(['weights', 'weights', 'relu', 'relu', 'batchNorm', 'dropout'] as const);
      const width = shape.at(-1)!;
      const layer: LayerInput =
        type !== 'weights'
          ? { type, ...common }
          : shape.length === 1
            ? { type: 'dense', units: width, ...common }
            : { type: 'conv2d', filters: width, kernel: draw.integer(1, 3), ...common };
      if (!this.#accept(layer)) continue;
      end = this.#tensors.at(-1)!;
    }
    this.#mustAccept({
      type: 'add',
      inputs: draw.shuffled([start.name, end.name]),
      name: this.#nextName(),
    });
    if (draw.chance(0.7)) {
      const input = this.#tensors.at(-1)!.name;
      this.#mustAccept({ type: draw.pick(['relu', 'relu', 'tanh']), name: this.#nextName(), input });
    }
  }

  #nextName(): string {
    return `l${this.#layers.length + 1}`;
  }

  #propose(type: LayerType): LayerInput | null {
    const draw = this.#draw;
    const name = this.#nextName();
    if (type === 'add' || type === 'concat') return this.#proposeJoin(type, name);
    const input = this.#source().name;
    const common = { name, input };
    switch (type) {
      case 'dense':
        return { type, units: this.#width(65), bias: draw.chance(0.7), ...common };
      case 'conv2d':
        return {
          type,
          filters: this.#width(33),
          kernel: pair(draw, 4),
          stride: draw.chance(0.5) ? 1 : pair(draw, 3),
          padding: drawPadding(draw),
          bias: draw.chance(0.6),
          ...common,
        };
      case 'maxPool':
      case 'averagePool':
        return {
          type,
          kernel: pair(draw, 4),
          ...(draw.chance(0.6) ? { stride: pair(draw, 3) } : {}),
          padding: drawPadding(draw),
          ...common,
        };
      case 'batchNorm':
        return { type, sync: draw.pick(['global', 'shard']), ...common };
      case 'dropout':
        return { type, rate: draw.pick([0, 1e-7, 0.1, 0.5, 0.9]), ...common };
      case 'leakyRelu':
        return { type, alpha: draw.pick([0, 0.01, 0.3, 1.5]), ...common };
      case 'elu':
        return { type, alpha: draw.pick([0.3, 1, 2]), ...common };
      case 'globalAveragePool':
      case 'flatten':
      case 'relu':
      case 'sigmoid':
      case 'tanh':
      case 'gelu':
      case 'softmax':
        return { type, ...common };
      default:
        return type satisfies never;
    }
  }

  #width(most: number): number {
    return this.#draw.chance(0.7) ? this.#draw.pick(this.#widths) : this.#draw.size(most);
  }

  /** Most often the newest tensor; else any, the model's input among them. */
  #source(): Tensor {
    return this.#draw.chance(0.7) ? this.#tensors.at(-1)! : this.#draw.pick(this.#tensors);
  }

  /** Joins a tensor with others that fit; with itself where no other does. */
  #proposeJoin(type: 'add' | 'concat', name: string): LayerInput | null {
    const draw = this.#draw;
    const first = this.#source();
    const fits = ({ shape }: Tensor): boolean =>
      type === 'add'
        ? String(shape) === String(first.shape)
        : String(shape.slice(0, -1)) === String(first.shape.slice(0, -1));
    const others = this.#tensors.filter((tensor) => tensor !== first && fits(tensor));
    if (others.length === 0 && draw.chance(0.7)) return null;
    const chosen = others.length === 0 ? [first] : draw.shuffled(others).slice(0, draw.integer(1, 3));
    return { type, inputs: draw.shuffled([first, ...chosen]).map((tensor) => tensor.name), name };
  }

  /** Builds the layer as the product does; false where it does not fit or costs too much. */
  #accept(layer: LayerInput, isBounded = true): boolean {
    const parsed = layerSchema.parse(layer);
    const names = 'inputs' in parsed ? parsed.inputs : [parsed.input!];
    const inputs = names.map((name) => this.#tensors.find((tensor) => tensor.name === name)!.id);
    let parameters = 0;
    let dropouts = 0;
    const declare =
      (op: 'parameter' | 'statistic') =>
      (suffix: string, _role: unknown, shape: Shape): ValueId => {
        if (op === 'parameter') parameters += sizeOf(shape);
        return this.#builder.source(op, { name: `${layer.name}.${suffix}` }, whole(...shape), layer.name!);
      };
    const context: LayerContext = {
      shapeOf: (id) => this.#builder.shapeOf(id),
      op: (op, operands, attributes) => this.#builder.add(op, operands, attributes, layer.name!),
      parameter: declare('parameter'),
      statistic: declare('statistic'),
      nextDropout: () => this.#dropouts + dropouts++,
      fail: (what) => {
        throw new Refused(what);
      },
    };
    try {
      const build = layerTable[parsed.type].build as (
        layer: unknown,
        inputs: readonly ValueId[],
        context: LayerContext,
      ) => ValueId;
      const id = build(parsed, inputs, context);
      const shape = this.#builder.shapeOf(id);
      const work = this.#work + parameters * (shape.length === 3 ? shape[0]! * shape[1]! : 1);
      if (isBounded && (sizeOf(shape) > tensorSizeMax || work > workMax)) return false;
      this.#work = work;
      this.#parameters += parameters;
      this.#dropouts += dropouts;
      this.#layers.push(layer);
      this.#tensors.push({ name: layer.name!, id, shape });
      for (const name of names) this.#unread.delete(name);
      this.#unread.add(layer.name!);
      return true;
    } catch (error) {
      if (error instanceof Refused || error instanceof LockstepError) return false;
      throw error;
    }
  }

  #mustAccept(layer: LayerInput): Tensor {
    if (!this.#accept(layer, false))
      throw new Error(`the network cannot be closed by ${JSON.stringify(layer)}`);
    return this.#tensors.at(-1)!;
  }

  /** Brings every tensor that nothing reads together into one flat output that fits the loss. */
  #join(loss: LossKind): void {
    const draw = this.#draw;
    const next = (): string => this.#nextName();
    const flat = (this.#unread.size === 0 ? ['input'] : [...this.#unread]).map((name) => {
      const tensor = this.#tensors.find((other) => other.name === name)!;
      if (tensor.shape.length === 1) return tensor;
      const type = draw.chance(0.6) ? 'flatten' : 'globalAveragePool';
      return this.#mustAccept({ type, input: tensor.name, name: next() });
    });
    let end = flat[0]!;
    if (flat.length > 1) {
      const inputs = flat.map(({ name }) => name);
      const sameShape = flat.every(({ shape }) => String(shape) === String(end.shape));
      end = this.#mustAccept({
        type: sameShape && draw.chance(0.5) ? 'add' : 'concat',
        inputs,
        name: next(),
      });
    }
    if (draw.chance(0.2)) end = this.#mustAccept({ type: 'relu', input: end.name, name: next() });
    const isLogits = loss === 'softmaxCrossEntropy';
    const units = isLogits ? Math.max(2, draw.size(10)) : draw.size(10);
    if (draw.chance(0.85) || (isLogits && end.shape[0]! < 2) || endsInActivation(this.#layers, end.name)) {
      this.#mustAccept({ type: 'dense', units, bias: draw.chance(0.7), input: end.name, name: next() });
    }
  }

  /** Small networks also meet batches that fill the kernels' blocks of rows, in few shards. */
  #drawBatch(): number {
    const isSmall = this.#work * 300 < workMax;
    return isSmall && this.#draw.chance(0.25) ? this.#draw.integer(100, 300) : this.#draw.size(24);
  }

  #drawMetrics(loss: LossKind): MetricName[] {
    if (this.#draw.chance(0.3)) return [];
    return [loss === 'meanSquaredError' ? 'meanAbsoluteError' : 'accuracy'];
  }
}

/** The losses refuse a softmax or a sigmoid in front of them, and an output that is the model's input. */
function endsInActivation(layers: readonly LayerInput[], name: string): boolean {
  const last = layers.find((layer) => layer.name === name);
  if (last === undefined || last !== layers.at(-1)) return true;
  return ['softmax', 'sigmoid', 'flatten', 'dropout'].includes(last.type);
}

/** Relu and add weigh most: what the compiler fuses. */
const weights: Partial<Record<LayerType, number>> = { conv2d: 5, dense: 4, relu: 5, add: 4, batchNorm: 3, maxPool: 2, averagePool: 2 }; // biome-ignore format: a table
const layerWeights = layerTypes.map((type) => [weights[type] ?? 1, type] as const);

function pair(draw: Draw, most: number): number | [number, number] {
  return draw.chance(0.6) ? draw.integer(1, most) : [draw.integer(1, most), draw.integer(1, most)];
}

function drawPadding(draw: Draw): 'same' | 'valid' | number | [number, number, number, number] {
  const edge = (): number => draw.integer(0, 3);
  if (draw.chance(0.7)) return draw.chance(0.6) ? 'same' : 'valid';
  return draw.chance(0.5) ? draw.integer(0, 2) : [edge(), edge(), edge(), edge()];
}

function drawOptimizer(draw: Draw): OptimizerInput {
  const shared = {
    learningRate: draw.pick([1e-3, 0.01, 0.1]),
    ...(draw.chance(0.3) ? { weightDecay: 0.01 } : {}),
    ...(draw.chance(0.3) ? { l2: 0.01 } : {}),
    ...(draw.chance(0.3) ? { decayed: 'all' as const } : {}),
  };
  return { type: draw.pick(['sgd', 'momentum', 'nesterov', 'adam', 'adamW'] as const), ...shared };
}

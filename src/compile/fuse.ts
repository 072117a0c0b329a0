// Fusion: which values are computed inside the kernel of another value, and which share memory. It changes no value's
// meaning, only where it is computed; it does not depend on the world, so fused bits are the same everywhere.

import { assert } from '../errors.ts';
import type { Graph, Value, ValueId } from '../ir/graph.ts';
import { dataOperandsOf } from './operands.ts';
import type { Optimizations } from './optimizations.ts';

export interface Fusion {
  /** The value in whose memory a value lies, by id. */
  readonly storage: readonly ValueId[];
  /** Values that get no code of their own. */
  readonly absorbed: ReadonlySet<ValueId>;
  /** Values that end in a relu. */
  readonly relu: ReadonlySet<ValueId>;
  /** Input gradients and max-pool gradients, and batch norms (for their backward half): the relu output whose zeros mask
      the gradient. */
  readonly mask: ReadonlyMap<ValueId, ValueId>;
  /** Losses whose kernel writes the gradient as well. */
  readonly lossGradient: ReadonlyMap<ValueId, ValueId>;
}

const reluProducers = new Set<string>(['dense', 'conv2d', 'batchNorm', 'add']);
const maskedGradients = new Set<string>(['denseInputGradient', 'conv2dInputGradient']);
const batchNormGradients = new Set<string>([
  'batchNormInputGradient',
  'batchNormGammaGradient',
  'batchNormBetaGradient',
]);

/** `kept` are values that must be in memory as they are: ends of the graph. */
export function fuse(
  graph: Graph,
  live: readonly boolean[],
  kept: readonly ValueId[],
  inference: boolean,
  optimizations: Pick<Optimizations, 'fuseRelu' | 'fuseReluGradient'>,
): Fusion {
  const fusion = new Fuser(graph, live, kept, inference);
  if (optimizations.fuseRelu) for (const value of fusion.values) fusion.fuseRelu(value);
  if (optimizations.fuseReluGradient) for (const value of fusion.values) fusion.fuseReluGradient(value);
  for (const value of fusion.values) fusion.fuseLoss(value);
  return fusion.result();
}

class Fuser {
  readonly values: readonly Value[];
  readonly #graph: Graph;
  readonly #parent: ValueId[];
  readonly #users: ValueId[][];
  readonly #kept: Set<ValueId>;
  readonly #absorbed = new Set<ValueId>();
  readonly #relu = new Set<ValueId>();
  readonly #mask = new Map<ValueId, ValueId>();
  readonly #lossGradient = new Map<ValueId, ValueId>();

  constructor(graph: Graph, live: readonly boolean[], kept: readonly ValueId[], inference: boolean) {
    this.#graph = graph;
    this.values = graph.values.filter(({ id }) => live[id]);
    this.#parent = graph.values.map(({ id }) => id);
    this.#kept = new Set(kept);
    for (const value of this.values) {
      const same = value.op === 'reshape' || (value.op === 'dropout' && inference);
      if (same) this.#absorb(value.id, value.operands[0]!);
    }
    this.#users = graph.values.map(() => []);
    for (const value of this.values) {
      if (this.#absorbed.has(value.id)) continue;
      for (const operand of dataOperandsOf(value)) this.#users[this.#root(operand)]!.push(value.id);
    }
  }

  /** relu(x), the only user of x: x's kernel applies it. */
  fuseRelu(value: Value): void {
    if (value.op !== 'unary' || value.attributes.kind !== 'relu') return;
    const producer = this.#root(value.operands[0]!);
    if (!reluProducers.has(this.#at(producer).op) || !this.#onlyUser(producer, value.id)) return;
    this.#relu.add(producer);
    this.#users[producer] = this.#users[value.id]!;
    this.#absorb(value.id, producer);
  }

  /** dy * (y > 0): in the kernel that makes dy, or in the batch-norm backward that alone reads it. */
  fuseReluGradient(value: Value): void {
    if (value.op !== 'unaryGradient' || value.attributes.kind !== 'relu') return;
    const producer = this.#root(value.operands[0]!);
    const y = this.#root(value.operands[2]!);
    const { op, operands } = this.#at(producer);
    const masks = maskedGradients.has(op) || (op === 'maxPoolGradient' && this.#root(operands[1]!) === y);
    // A kernel applies one mask: where it already has another relu's, both must hold, so this one keeps its own kernel.
    const hasRoom = (this.#mask.get(producer) ?? y) === y;
    if (masks && hasRoom && this.#onlyUser(producer, value.id)) {
      this.#mask.set(producer, y);
      this.#users[producer] = this.#users[value.id]!;
      this.#absorb(value.id, producer);
      return;
    }
    const users = this.#users[value.id]!.map((id) => this.#at(id));
    const norm = users[0]?.operands[1];
    const allOneNorm = users.every((user) => batchNormGradients.has(user.op) && user.operands[1] === norm);
    if (norm === undefined || !allOneNorm || this.#kept.has(value.id)) return;
    this.#mask.set(norm, y);
    this.#users[producer] = this.#users[producer]!.flatMap((id) =>
      id === value.id ? users.map((user) => user.id) : [id],
    );
    this.#absorb(value.id, producer);
  }

  /** loss and lossGradient of the same operands: one kernel writes both. */
  fuseLoss(value: Value): void {
    if (value.op !== 'lossGradient') return;
    const [prediction, target] = value.operands.map((id) => this.#root(id));
    const loss = this.values.find(
      (other) =>
        other.op === 'loss' &&
        other.attributes.kind === value.attributes.kind &&
        this.#root(other.operands[0]!) === prediction &&
        this.#root(other.operands[1]!) === target,
    );
    assert(loss !== undefined, 'the loss of a loss gradient is reported');
    this.#lossGradient.set(loss.id, value.id);
    this.#absorbed.add(value.id);
  }

  result(): Fusion {
    return {
      storage: this.#parent.map((_, id) => this.#root(id)),
      absorbed: this.#absorbed,
      relu: this.#relu,
      mask: this.#mask,
      lossGradient: this.#lossGradient,
    };
  }

  #at(id: ValueId): Value {
    return this.#graph.values[id]!;
  }

  #root(id: ValueId): ValueId {
    let root = id;
    while (this.#parent[root] !== root) root = this.#parent[root]!;
    return root;
  }

  #absorb(id: ValueId, into: ValueId): void {
    this.#parent[id] = this.#root(into);
    this.#absorbed.add(id);
    if (this.#kept.has(id)) this.#kept.add(this.#root(into));
  }

  #onlyUser(id: ValueId, user: ValueId): boolean {
    return !this.#kept.has(id) && this.#users[id]!.length === 1 && this.#users[id]![0] === user;
  }
}

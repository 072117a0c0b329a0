// What lowering works with: the graph's values as buffers, and the list of items it grows. The rules, op by op, are in
// lower.ts (layers), lower-batch-norm.ts and lower-update.ts.

import type { Assignment, TensorLayout } from '../engine/contract.ts';
import { assert } from '../errors.ts';
import type { Graph, Shape, Value, ValueId } from '../ir/graph.ts';
import { sizeOf } from '../ir/shapes.ts';
import type { KernelName } from '../kernels/kernel-list.ts';
import type { Fusion } from './fuse.ts';
import { type Buffer, type CallArguments, call, type Item, type Reference, whole } from './instructions.ts';
import { isAlone, nodeCounts } from './layout.ts';

/** The flat vectors and the other buffers that outlive a step. */
export interface StateBuffers {
  readonly parameters: Buffer;
  readonly statistics: Buffer;
  readonly slots: readonly Buffer[];
  /** Own nodes of the gradient, one flat vector a node. */
  readonly partials: Buffer;
  /** The reduced gradient; `partials` when alone. */
  readonly gradient: Buffer;
  readonly inputs: Buffer;
  readonly targets: Buffer;
  /** The prediction of an evaluation. */
  readonly output: Buffer;
}

export interface LoweringInput {
  readonly graph: Graph;
  readonly live: readonly boolean[];
  readonly fusion: Fusion;
  readonly inference: boolean;
  readonly assignment: Assignment;
  readonly rowsMax: number;
  readonly parameters: readonly TensorLayout[];
  readonly statistics: readonly TensorLayout[];
  /** Floats of the flat gradient. */
  readonly flatSize: number;
  readonly state: StateBuffers;
  /** Gradient values and the parameters they belong to. */
  readonly gradients: readonly { readonly parameter: ValueId; readonly gradient: ValueId }[];
}

export interface ExchangeRegion {
  readonly region: Reference;
  readonly recordSize: number;
}

export class Lowering {
  readonly input: LoweringInput;
  readonly items: Item[] = [];
  /** Calls that belong into the update: running statistics. */
  readonly update: Item[] = [];
  readonly exchanges: ExchangeRegion[] = [];
  readonly alone: boolean;
  readonly nodes: { readonly own: number; readonly before: number; readonly all: number };
  readonly #buffers = new Map<ValueId, Buffer>();
  readonly #named = new Map<string, Buffer>();

  constructor(input: LoweringInput) {
    this.input = input;
    this.alone = isAlone(input.assignment);
    this.nodes = nodeCounts(input.assignment);
  }

  value(id: ValueId): Value {
    return this.input.graph.values[id]!;
  }

  shape(id: ValueId): Shape {
    return this.value(id).shape;
  }

  /** Elements of one row of a value. */
  size(id: ValueId): number {
    return sizeOf(this.shape(id));
  }

  push<K extends KernelName>(kernel: K, args: CallArguments<K>): void {
    this.items.push(call(kernel, args));
  }

  /** The memory of a value. */
  at(id: ValueId): Reference {
    const root = this.value(this.input.fusion.storage[id]!);
    const { state, parameters, statistics } = this.input;
    switch (root.op) {
      case 'input':
        return whole(state.inputs);
      case 'target':
        return whole(state.targets);
      case 'parameter':
        return tensorIn(state.parameters, parameters, root.attributes.name);
      case 'statistic':
        return tensorIn(state.statistics, statistics, root.attributes.name);
      default:
        return whole(this.#bufferOf(root));
    }
  }

  /** Where the own nodes of a parameter's gradient lie, and their distance. */
  gradientOf(gradient: ValueId): { readonly out: Reference; readonly stride: number } {
    const { gradients, parameters, flatSize, state } = this.input;
    const owner = gradients.find((pair) => pair.gradient === gradient);
    assert(owner !== undefined, `%${gradient} is the gradient of a parameter`);
    const parameter = this.value(owner.parameter);
    assert(parameter.op === 'parameter', 'gradients are of parameters');
    const { name } = parameter.attributes;
    const place = tensorIn(state.partials, parameters, name);
    const repeat = { count: this.nodes.own, stride: flatSize };
    return { out: { ...place, part: name, repeat }, stride: flatSize };
  }

  /** A buffer of this program by name, made at its first mention. */
  buffer(name: string, size: number, options: { rowSize?: number; permanent?: boolean } = {}): Buffer {
    let buffer = this.#named.get(name);
    if (!buffer) {
      buffer = { name, size, rowSize: options.rowSize ?? null, permanent: options.permanent ?? false };
      this.#named.set(name, buffer);
    }
    assert(buffer.size === size, `${name} has one size`);
    return buffer;
  }

  /** A buffer with `rowSize` elements a sample. */
  rows(name: string, rowSize: number): Reference {
    return whole(this.buffer(name, this.input.rowsMax * rowSize, { rowSize }));
  }

  /** A swap of gathered nodes, `recordSize` floats each; whoever merges them must come after a cut. */
  exchange(nodes: Reference, recordSize: number): Item {
    this.exchanges.push({ region: nodes, recordSize });
    return { kind: 'exchange', exchange: this.exchanges.length - 1, region: nodes };
  }

  #bufferOf(root: Value): Buffer {
    let buffer = this.#buffers.get(root.id);
    if (!buffer) {
      assert(root.extent === 'row', `%${root.id} (${root.op}) is a row tensor`);
      const { fusion, graph, inference, state, rowsMax } = this.input;
      const isOutput = inference && fusion.storage[graph.output] === root.id;
      const rowSize = sizeOf(root.shape);
      const name = `${root.layer}.${gradientOps.test(root.op) ? 'd' : ''}${root.id}`;
      buffer = isOutput ? state.output : { name, size: rowsMax * rowSize, rowSize, permanent: false };
      this.#buffers.set(root.id, buffer);
    }
    return buffer;
  }
}

const gradientOps = /Gradient$/;

function tensorIn(buffer: Buffer, tensors: readonly TensorLayout[], name: string): Reference {
  const tensor = tensors.find((other) => other.name === name);
  assert(tensor !== undefined, `${name} is declared by the model`);
  return { buffer, from: tensor.offset, size: tensor.size, part: name };
}

// Appends values to a graph in the order of computation, with extents and shapes inferred. Used by the model builder
// and by autodiff, never by anything that runs.

import { assert } from '../errors.ts';
import type { Shape, Value, ValueId } from './graph.ts';
import type { OpAttributes, OpName } from './ops.ts';
import { inferType, type SourceOp, type ValueType } from './shapes.ts';

export class GraphBuilder {
  readonly #values: Value[];

  /** Starts empty, or behind the values of a graph that is to be extended. */
  constructor(values: readonly Value[] = []) {
    this.#values = [...values];
  }

  get values(): readonly Value[] {
    return this.#values;
  }

  get(id: ValueId): Value {
    const value = this.#values[id];
    assert(value !== undefined, `value %${id} exists`);
    return value;
  }

  shapeOf(id: ValueId): Shape {
    return this.get(id).shape;
  }

  /** A value without operands. */
  source<K extends SourceOp>(op: K, attributes: OpAttributes[K], type: ValueType, layer: string): ValueId {
    return this.#append(op, [], attributes, type, layer);
  }

  /** A value computed from others. */
  add<K extends Exclude<OpName, SourceOp>>(
    op: K,
    operands: readonly ValueId[],
    attributes: OpAttributes[K],
    layer: string,
  ): ValueId {
    const types = operands.map((id) => this.get(id));
    return this.#append(op, operands, attributes, inferType(op, types, attributes), layer);
  }

  #append<K extends OpName>(
    op: K,
    operands: readonly ValueId[],
    attributes: OpAttributes[K],
    { extent, shape }: ValueType,
    layer: string,
  ): ValueId {
    const id = this.#values.length;
    // The compiler cannot see that op and attributes belong to one K once they are in one object.
    this.#values.push({ id, op, operands, attributes, extent, shape, layer } as unknown as Value);
    return id;
  }
}

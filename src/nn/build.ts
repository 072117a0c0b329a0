// From a model's description to its graph. Everything a user can get wrong about layers, names and shapes is told here
// or by the layers' own build functions; what the loss asks of the output is in ends.ts.

import { nearestWord } from '../config/nearest.ts';
import { LockstepError } from '../errors.ts';
import type { Initializer, Shape, TensorDeclaration, ValueId } from '../ir/graph.ts';
import { GraphBuilder } from '../ir/graph-builder.ts';
import type { LossKind } from '../ir/ops.ts';
import { whole } from '../ir/shapes.ts';
import { verifyGraph } from '../ir/verify.ts';
import {
  type Layer,
  type LayerOf,
  type LayerType,
  layerTable,
  type MetricName,
  type ModelDescription,
} from './description.ts';
import { addEnds } from './ends.ts';
import type { LayerContext } from './layers/layer.ts';
import type { Model } from './model.ts';

export type { Model } from './model.ts';

export interface BuildOptions {
  readonly loss: LossKind;
  readonly metrics?: readonly MetricName[];
  /** Numbers in a target, where the data is known: checked against the output. */
  readonly targetSize?: number;
  /** Classes of the data, 0 where its targets are values; the output may have more, never fewer. */
  readonly classes?: number;
}

/** The name by which layers read the model's input. */
const inputName = 'input';

/**
 * The forward graph of a described model with its loss and metrics, and the tensors it declares.
 * Throws LOCKSTEP_MODEL_INVALID naming the layer, the shapes and the remedy.
 */
export function buildModel(description: ModelDescription, options: BuildOptions): Model {
  const names = nameLayers(description.layers);
  const builder = new GraphBuilder();
  const declarations = { parameters: [] as TensorDeclaration[], statistics: [] as TensorDeclaration[] };
  const outputs: ValueId[] = [];
  const used = new Set<number>();
  const input = builder.source(
    'input',
    { name: inputName },
    { extent: 'row', shape: description.input },
    inputName,
  );
  let dropouts = 0;

  description.layers.forEach((layer, index) => {
    const fail = failing(layer, index, names[index]!);
    const sources = readLayers(layer, index, names, fail);
    for (const source of sources) used.add(source);
    const context: LayerContext = {
      fail,
      shapeOf: (id) => builder.shapeOf(id),
      op: (op, operands, attributes) => builder.add(op, operands, attributes, names[index]!),
      nextDropout: () => dropouts++,
      ...declaring(builder, declarations, names[index]!),
    };
    outputs.push(
      buildLayer(
        layer,
        sources.map((source) => (source < 0 ? input : outputs[source]!)),
        context,
      ),
    );
  });

  const output = outputs.at(-1)!;
  requireUse(description.layers, names, used);
  if (declarations.parameters.length === 0) {
    throw new LockstepError(
      'LOCKSTEP_MODEL_INVALID',
      'model.layers: nothing to train; add a dense or conv2d layer',
    );
  }
  const lastLayer = `layer "${names.at(-1)!}"`;
  const ends = addEnds(builder, { output, lastLayer, ...options });
  const graph = { values: builder.values, output, reports: ends.reports };
  verifyGraph(graph, 'building the model');
  return {
    graph,
    ...declarations,
    inputShape: description.input,
    outputSize: ends.outputSize,
    targetSize: ends.targetSize,
  };
}

function buildLayer<K extends LayerType>(
  layer: LayerOf<K>,
  inputs: readonly ValueId[],
  context: LayerContext,
): ValueId {
  return layerTable[layer.type as K].build(layer, inputs, context);
}

type Fail = (what: string) => never;

function failing(layer: Layer, index: number, name: string): Fail {
  return (what) => {
    throw new LockstepError(
      'LOCKSTEP_MODEL_INVALID',
      `model.layers[${index}]: ${layer.type} layer "${name}" ${what}`,
    );
  };
}

/** Given names, and for the others the stem of their type with a number: the how-manieth of its type it is. */
function nameLayers(layers: readonly Layer[]): string[] {
  const given = new Map<string, number>();
  layers.forEach(({ name, type }, index) => {
    if (name === undefined) return;
    const problem =
      name === inputName
        ? "which is the model's input"
        : given.has(name)
          ? `as does model.layers[${given.get(name)}]`
          : null;
    if (problem) {
      throw new LockstepError(
        'LOCKSTEP_MODEL_INVALID',
        `model.layers[${index}]: ${type} layer has the name "${name}", ${problem}; give it a name of its own`,
      );
    }
    given.set(name, index);
  });
  const counts = new Map<LayerType, number>();
  return layers.map(({ name, type }) => {
    let count = (counts.get(type) ?? 0) + 1;
    if (name === undefined) while (given.has(`${layerTable[type].stem}${count}`)) count += 1;
    counts.set(type, count);
    return name ?? `${layerTable[type].stem}${count}`;
  });
}

/** Indices of the layers that `layer` reads; -1 is the model's input. */
function readLayers(layer: Layer, index: number, names: readonly string[], fail: Fail): number[] {
  if ('inputs' in layer) return layer.inputs.map((name) => resolve(name, index, names, fail));
  return [layer.input === undefined ? index - 1 : resolve(layer.input, index, names, fail)];
}

function resolve(name: string, index: number, names: readonly string[], fail: Fail): number {
  if (name === inputName) return -1;
  const found = names.indexOf(name);
  if (found === index) return fail('reads itself; let it read a layer in front of it');
  if (found > index) {
    return fail(
      `reads "${name}", which comes after it (model.layers[${found}]); layers read only what is in front`,
    );
  }
  if (found >= 0) return found;
  const valid = [inputName, ...names.slice(0, index)];
  const near = nearestWord(name, valid);
  const hint =
    near === null
      ? `in front of it are ${valid.map((word) => `"${word}"`).join(', ')}`
      : `did you mean "${near}"?`;
  return fail(`reads "${name}", but there is no such layer; ${hint}`);
}

function requireUse(layers: readonly Layer[], names: readonly string[], used: ReadonlySet<number>): void {
  layers.slice(0, -1).forEach((layer, index) => {
    if (used.has(index)) return;
    failing(
      layer,
      index,
      names[index]!,
    )('is read by no other layer; read it with "input" or "inputs", or remove it');
  });
}

/** The parts of a layer's context that declare its tensors. */
function declaring(
  builder: GraphBuilder,
  declarations: { readonly parameters: TensorDeclaration[]; readonly statistics: TensorDeclaration[] },
  layer: string,
): Pick<LayerContext, 'parameter' | 'statistic'> {
  const declare =
    (op: 'parameter' | 'statistic', list: TensorDeclaration[]) =>
    (suffix: string, role: TensorDeclaration['role'], shape: Shape, initializer: Initializer): ValueId => {
      const name = `${layer}.${suffix}`;
      list.push({ name, shape, role, initializer });
      return builder.source(op, { name }, whole(...shape), layer);
    };
  return {
    parameter: declare('parameter', declarations.parameters),
    statistic: declare('statistic', declarations.statistics),
  };
}

// What a built model is: its graph and the tensors it declares. build.ts makes it, the compiler takes it.

import type { Graph, Shape, TensorDeclaration } from '../ir/graph.ts';

export interface Model {
  /** Forward half: input, target, layers, output, loss and metrics. */
  readonly graph: Graph;
  /** Trained tensors, in the order of the layers; names are those of the graph's `parameter` values. */
  readonly parameters: readonly TensorDeclaration[];
  /** Running means and variances, in the order of the layers; names as in the graph's `statistic` values. */
  readonly statistics: readonly TensorDeclaration[];
  /** One sample. */
  readonly inputShape: Shape;
  /** Numbers in one sample's prediction. */
  readonly outputSize: number;
  /** Numbers in one sample's target: 1 for a class index, else outputSize. */
  readonly targetSize: number;
}

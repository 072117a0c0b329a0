// The compiler's optimising passes. Each changes speed or memory and never a bit of a result, so each can be left out: to
// narrow down a suspected fault of the compiler, and to test that the promise holds.

export interface Optimizations {
  /** A relu is applied by the kernel that computes its input. */
  readonly fuseRelu: boolean;
  /** The mask of a relu's gradient is applied by a neighbouring kernel of the backward pass. */
  readonly fuseReluGradient: boolean;
  /** Weight gradients run while batch-norm statistics are exchanged with other workers. */
  readonly fillExchanges: boolean;
  /** Tensors that are never needed at the same time share memory. */
  readonly shareMemory: boolean;
}

export const allOptimizations: Optimizations = {
  fuseRelu: true,
  fuseReluGradient: true,
  fillExchanges: true,
  shareMemory: true,
};

export const optimizationNames = Object.keys(allOptimizations) as (keyof Optimizations)[];

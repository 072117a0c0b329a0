// The list of kernels: the whole contract between a compiled program and whoever runs it.
// One row a kernel: how lanes divide its work, and its arguments in order. The C header is generated from it.

// A program is words (int32) in the arena. An instruction is [kernel index, its length in words, arguments ...].
// Kinds of arguments, all one word:
//   f  offset of floats in the arena, in elements; -1 = absent
//   i  offset of int32 in the arena, in elements; -1 = absent
//   n  a number
//   s  a float32 by its bits
// `rows` (how many samples this worker has in this step), the shards' boundaries and the schedule's scalars are not
// arguments: they come from the step table (step-table.ts), because they change from step to step.
//
// How lanes divide a kernel:
//   rows    lane l computes the rows laneRows[l] .. laneRows[l+1]-1 and touches no others
//   all     the output is divided among the lanes in any way (columns, tiles, blocks); a lane may read everything
//   single  lane 0 computes, the others pass
//
// "nodes" outputs: the tree of numerics/tree.ts over the worker's shards, as a stack machine (step table: shardRows,
// merges). A leaf is the sum over the rows of one shard in ascending order, starting from +0 (an empty shard is +0);
// two siblings are added left + right. Record j of what remains on the stack is written at out + j * stride (own
// nodes), or at out + (nodeStart + j) * stride (gathered nodes: room for every worker's, in the tree's order).
//
// Formulas: fma(a, b, c) = a * b + c with one rounding; every other operation is rounded. Sums over rows start at +0 and
// ascend unless they are long. Sums over the elements of one row or block use 16 virtual accumulators: element i into i mod 16, i
// ascending from +0; then [j] += [j + 8], [j] += [j + 4], [j] += [j + 2], [j] += [j + 1].
// Long sums (over the positions of a shard or the taps of a window) keep their error that of a few roundings however many
// terms there are: blocks of 64 terms; in a block term t into accumulator t mod 4, t ascending from +0; block =
// ([0] + [2]) + ([1] + [3]). The first block is the sum, with a rest of +0; each further one is added by two-sum: total = sum +
// block, part = total - sum, rest = rest + ((sum - (total - part)) + (block - part)), sum = total. The value is sum + rest.
// relu(x) = 0 > x ? 0 : x, so that NaN and -0 stay what they are; "mask <= 0" is: not (mask > 0), NaN included.

import { assert } from '../errors.ts';

export type ArgumentKind = 'f' | 'i' | 'n' | 's';
export type Partition = 'rows' | 'all' | 'single';

interface KernelRow {
  readonly partition: Partition;
  readonly args: Readonly<Record<string, ArgumentKind>>;
}

/** Window of a convolution or a pooling, channels last: input height x width x channels, kernel, stride, padding. */
// biome-ignore format: a table
const window = {
  height: 'n', width: 'n', channels: 'n',
  kernelHeight: 'n', kernelWidth: 'n', strideHeight: 'n', strideWidth: 'n', padTop: 'n', padLeft: 'n',
  outHeight: 'n', outWidth: 'n',
} as const;

// biome-ignore format: a table
export const kernels = {
  // --- control
  /** All lanes meet. Nothing after it starts before everything ahead of it has ended on every lane. */
  barrier: { partition: 'all', args: {} },
  /** out[0 .. count) = value */
  fill: { partition: 'all', args: { out: 'f', count: 'n', value: 's' } },

  // --- dense: y[rows, outputs] = activation(x[rows, inputs] . w[inputs, outputs] + bias[outputs]); k = inputs ascending
  // activation: 0 none, 1 relu
  denseForward: { partition: 'all', args: { y: 'f', x: 'f', w: 'f', bias: 'f', inputs: 'n', outputs: 'n', activation: 'n' } },
  /** dx[rows, inputs] = dy . w^T, k = outputs ascending; where mask is given, 0 wherever mask[row, input] <= 0 (relu) */
  denseInputGradient: { partition: 'all', args: { dx: 'f', dy: 'f', w: 'f', mask: 'f', inputs: 'n', outputs: 'n' } },
  /** own nodes of dw[inputs, outputs] = x^T . dy, k = rows of the shard ascending */
  denseWeightGradient: { partition: 'all', args: { dw: 'f', stride: 'n', x: 'f', dy: 'f', inputs: 'n', outputs: 'n' } },
  /** own nodes of out[columns] = long sum over the rows and positions of a shard of x[rows * positions, columns] */
  columnSums: { partition: 'all', args: { out: 'f', stride: 'n', x: 'f', positions: 'n', columns: 'n' } },

  // --- convolution, NHWC, weights [kernelHeight, kernelWidth, channels, filters]; k = (kh, kw, channel) ascending, a tap
  // outside of the image is a term 0 * w or is left out (the bits are the same for finite weights)
  convForward: { partition: 'rows', args: { y: 'f', x: 'f', w: 'f', bias: 'f', ...window, filters: 'n', activation: 'n' } },
  /** dx = transposed convolution of dy; k = (kh, kw, filter) ascending; mask as in denseInputGradient */
  convInputGradient: { partition: 'rows', args: { dx: 'f', dy: 'f', w: 'f', mask: 'f', ...window, filters: 'n' } },
  /** own nodes of dw; k = (row, out y, out x) ascending */
  convWeightGradient: { partition: 'all', args: { dw: 'f', stride: 'n', x: 'f', dy: 'f', ...window, filters: 'n' } },

  // --- pooling, NHWC; padding never wins a maximum and does not count in an average
  /** y = maximum, choice[i] = (y offset in window) * kernelWidth + x offset of the first maximum: the first tap inside of
      the image, replaced where a later one is greater (>) or NaN: a number gone bad always shows, its last tap is chosen */
  maxPoolForward: { partition: 'rows', args: { y: 'f', choice: 'i', x: 'f', ...window } },
  /** dx = dy where chosen (summed in ascending order of windows), else 0; relu: 1 = dy counts only where y > 0 */
  maxPoolBackward: { partition: 'rows', args: { dx: 'f', dy: 'f', choice: 'i', y: 'f', relu: 'n', ...window } },
  /** y = (long sum of the taps inside of the image, (kh, kw) ascending) / their number */
  averagePoolForward: { partition: 'rows', args: { y: 'f', x: 'f', ...window } },
  /** dx = sum over the windows that hold it, ascending from +0, of dy / number of the window's taps inside */
  averagePoolBackward: { partition: 'rows', args: { dx: 'f', dy: 'f', ...window } },

  // --- batch normalisation over rows and positions. A moments record is [count, mean[channels], m2[channels]]:
  // within a shard, long sums around a shift k = x0 + (block of x - x0 over the first 64 positions) / their number, x0 the
  // shard's first value: with d = x - k, (s1, r1) = the long sum of d, (s2, r2) = that of fma(d, d, .), sum and rest apart:
  // q = s1 / count, e = fma(-q, count, s1), p = s1 * q; mean = k + (q + (e + r1) / count);
  // m2 = max((s2 - p) + (fma(-2 q, r1, fma(-s1, e / count, r2)) - fma(s1, q, -p)), 0). An empty shard is all +0.
  // Records merge by Chan, Golub, LeVeque (1979): where either count is 0, the other record; else f = count_b / count,
  // delta = mean_b - mean_a, mean = fma(delta, f, mean_a), m2 = fma(delta * delta, count_a * f, m2_a + m2_b).
  /** leaves: record of shard s at leaves + (firstShard + s) * (1 + 2 channels) */
  momentsLeaves: { partition: 'all', args: { leaves: 'f', x: 'f', positions: 'n', channels: 'n' } },
  /** gathered nodes of the worker's leaves, merged in the tree (stride 1 + 2 channels) */
  momentsNodes: { partition: 'all', args: { nodes: 'f', leaves: 'f', channels: 'n' } },
  /** record = the gathered nodes of all workers merged in the tree (global schedule of the step table) */
  momentsMerge: { partition: 'all', args: { record: 'f', nodes: 'f', channels: 'n' } },
  /** mean[], inverse[] = 1 / sqrt(m2 / count + epsilon) (count 0: mean 0, 1 / sqrt(epsilon); m2 not finite: NaN) of `records` records (stride 1 + 2 channels; outputs [records, channels]);
      records = 0: one record per own shard, at leaves + (firstShard + s) * ..., outputs at index s */
  momentsPrepare: { partition: 'all', args: { mean: 'f', inverse: 'f', record: 'f', records: 'n', channels: 'n', epsilon: 's' } },
  /** running = fma(momentum, new - running, running); the variance is unbiased (m2 / (count - 1)); no-op where count < 2 */
  momentsRunning: { partition: 'all', args: { runningMean: 'f', runningVariance: 'f', record: 'f', channels: 'n', momentum: 's' } },
  /** mean = runningMean, inverse = 1 / sqrt(runningVariance + epsilon) (inference) */
  runningPrepare: { partition: 'all', args: { mean: 'f', inverse: 'f', runningMean: 'f', runningVariance: 'f', channels: 'n', epsilon: 's' } },
  /** y = activation(fma(x, scale, shift)), scale = gamma * inverse, shift = fma(-mean, scale, beta);
      perShard: 1 = mean and inverse are [own shard, channels] */
  normalizeForward: { partition: 'rows', args: { y: 'f', x: 'f', mean: 'f', inverse: 'f', gamma: 'f', beta: 'f', positions: 'n', channels: 'n', activation: 'n', perShard: 'n' } },
  /** leaves [2 channels] per own shard at leaves + (firstShard + s) * 2 channels: sum of dy', sum of dy' * xhat, where
      dy' = dy, or 0 where mask is given and mask <= 0 (relu after the normalisation); xhat = (x - mean) * inverse. Long
      sums; the second is (sum of fma(dy', x - mean, .)) * inverse, multiplied once a shard; an empty shard is +0 */
  normalizeSums: { partition: 'all', args: { leaves: 'f', dy: 'f', x: 'f', mask: 'f', mean: 'f', inverse: 'f', positions: 'n', channels: 'n', perShard: 'n' } },
  /** dx = gamma * inverse * (dy' - sum dy' / count - xhat * sum dy' xhat / count); sums: the merged [2 channels] (perShard:
      leaves), count from the merged moments record (perShard: leaves). In this order: slope = gamma * inverse,
      tilt = -(slope * (inverse * (sum dy' xhat / count))), offset = -(slope * (sum dy' / count)),
      dx = fma(dy', slope, fma(x - mean, tilt, offset)) */
  normalizeBackward: { partition: 'rows', args: { dx: 'f', dy: 'f', x: 'f', mask: 'f', mean: 'f', inverse: 'f', gamma: 'f', sums: 'f', record: 'f', positions: 'n', channels: 'n', perShard: 'n' } },

  // --- sums in the tree
  /** nodes of the worker's leaves (leaf s at leaves + (firstShard + s) * columns, stride columns); gathered: 1 = gathered
      nodes, stride `stride`; 0 = own nodes. The columns [from, from + count) of the leaves are taken. */
  sumNodes: { partition: 'all', args: { out: 'f', stride: 'n', leaves: 'f', columns: 'n', from: 'n', count: 'n', gathered: 'n' } },
  /** out[count] = the gathered nodes of all workers (stride `stride`) added in the tree (global schedule of the step table) */
  sumMerge: { partition: 'all', args: { out: 'f', nodes: 'f', stride: 'n', count: 'n' } },

  // --- elementwise on rows; size = elements a row. kind: see unaryKinds
  /** leakyRelu x > 0 ? x : alpha x; elu x > 0 ? x : alpha (e^x - 1); sigmoid 1 / (1 + e^-x); gelu x/2 (1 + erf(x / sqrt 2)) */
  unaryForward: { partition: 'rows', args: { y: 'f', x: 'f', size: 'n', kind: 'n', alpha: 's' } },
  /** dx = dy * f'(x); relu, leakyRelu, elu, sigmoid, tanh use y alone (x may be -1), gelu uses x alone. f': relu y > 0;
      leakyRelu y > 0 ? 1 : alpha; elu y > 0 ? 1 : y + alpha; sigmoid y (1 - y); tanh 1 - y^2; gelu Phi(x) + x phi(x) */
  unaryBackward: { partition: 'rows', args: { dx: 'f', dy: 'f', x: 'f', y: 'f', size: 'n', kind: 'n', alpha: 's' } },
  /** y = activation(a + b) */
  add: { partition: 'rows', args: { y: 'f', a: 'f', b: 'f', size: 'n', activation: 'n' } },
  /** y[r, yFrom .. yFrom + count) of width yColumns = x[r, xFrom .. ) of width xColumns, r over rows * positions */
  copyColumns: { partition: 'rows', args: { y: 'f', yColumns: 'n', yFrom: 'n', x: 'f', xColumns: 'n', xFrom: 'n', count: 'n', positions: 'n' } },
  /** y = x / keep where kept, else 0; keep decision of element e: philox(key = (seed, purpose dropout), counter = (step, layer,
      sample id, e / 4))[e % 4] < threshold, threshold = floor(keep * 2^32) as uint32; y = x * scale, scale = 1 / keep.
      The same kernel is its own gradient. y may be x. */
  dropout: { partition: 'rows', args: { y: 'f', x: 'f', size: 'n', layer: 'n', threshold: 'n', scale: 's' } },
  /** y = e / sum of e, e = exp(x - max x) */
  softmaxForward: { partition: 'rows', args: { y: 'f', x: 'f', size: 'n' } },
  /** dx = y * (dy - sum of dy * y) */
  softmaxBackward: { partition: 'rows', args: { dx: 'f', dy: 'f', y: 'f', size: 'n' } },

  // --- losses: loss[row], and dx[row, size] = its gradient (absent: -1). Nothing is divided by the number of samples.
  /** target[row] = class index as a float. With d = x - max x: loss = log(sum of exp d) - d[target],
      dx = exp d / sum - (1 at target) */
  softmaxCrossEntropy: { partition: 'rows', args: { loss: 'f', dx: 'f', x: 'f', target: 'f', size: 'n' } },
  /** target t[row, size] in 0 .. 1; mean over the outputs of a sample of max(x, 0) - x t + log(1 + exp(-|x|));
      dx = (sigmoid(x) - t) / size */
  sigmoidCrossEntropy: { partition: 'rows', args: { loss: 'f', dx: 'f', x: 'f', target: 'f', size: 'n' } },
  /** mean over the outputs of a sample of (x - target)^2; dx = 2 (x - target) / size */
  meanSquaredError: { partition: 'rows', args: { loss: 'f', dx: 'f', x: 'f', target: 'f', size: 'n' } },
  /** out[row] = 1 where the first maximum of x[row] is at target[row], else 0 */
  classCorrect: { partition: 'rows', args: { out: 'f', x: 'f', target: 'f', size: 'n' } },
  /** out[row] = the share of outputs with (x > threshold) == (target > 0.5) */
  binaryCorrect: { partition: 'rows', args: { out: 'f', x: 'f', target: 'f', size: 'n', threshold: 's' } },
  /** out[row] = mean over outputs of |x - target| */
  absoluteError: { partition: 'rows', args: { out: 'f', x: 'f', target: 'f', size: 'n' } },
  /** results[resultsHeader + (firstShard + s) * metrics + metric] = sum over the rows of own shard s of x[row],
      in float64, rounded once */
  shardSums: { partition: 'single', args: { x: 'f', metric: 'n', metrics: 'n' } },

  // --- update; g = gradient sum * (inverseWeight * factor), factor = clip[1] where clip is given, else 1. Bits: -l = -learningRate
  /** blocks[b] = sqrt(sum of squares of x[b * 4096 .. min(count, (b + 1) * 4096))) * inverseWeight: the norm of a block of the
      mean gradient. In float64, where squares are exact and stay in range, by 16 virtual accumulators; rounded once */
  blockNorms: { partition: 'all', args: { blocks: 'f', x: 'f', count: 'n' } },
  /** clip = [norm, factor]: norm = sqrt(sum of blocks[b]^2 in the tree of numerics/tree.ts), in float64, rounded once; factor =
      maximum < norm ? maximum / norm : 1. count: number of blocks (0: norm 0). The norm is also written to results[0]. */
  clipFactor: { partition: 'single', args: { clip: 'f', blocks: 'f', count: 'n', maximum: 's' } },
  // decay: L2, g = fma(decay, w, g); decoupled: first w = fma(-l * decoupled, w, w) (Loshchilov and Hutter 2019), after g
  // has been read with the old w
  /** w = fma(-l, g, w) */
  sgd: { partition: 'all', args: { w: 'f', g: 'f', count: 'n', clip: 'f', decay: 's', decoupled: 's' } },
  /** v = fma(momentum, v, g); w = fma(-l, nesterov ? fma(momentum, v, g) : v, w) (Sutskever 2013, as PyTorch writes it) */
  momentum: { partition: 'all', args: { w: 'f', g: 'f', v: 'f', count: 'n', clip: 'f', decay: 's', decoupled: 's', momentum: 's', nesterov: 'n' } },
  /** Kingma and Ba 2015, bias corrections c1, c2 from the step table; m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2,
      w -= l * (m / c1) / (sqrt(v / c2) + epsilon) */
  adam: { partition: 'all', args: { w: 'f', g: 'f', m: 'f', v: 'f', count: 'n', clip: 'f', decay: 's', decoupled: 's', beta1: 's', beta2: 's', epsilon: 's' } },
} as const satisfies Record<string, KernelRow>;

export type KernelName = keyof typeof kernels;
export type KernelArguments<K extends KernelName> = Readonly<
  Record<keyof (typeof kernels)[K]['args'], number>
>;

export const kernelNames = Object.keys(kernels) as KernelName[];

/** The kinds of unaryForward and unaryBackward by index. */
export const unaryKinds = ['relu', 'leakyRelu', 'elu', 'sigmoid', 'tanh', 'gelu'] as const;
export type UnaryKind = (typeof unaryKinds)[number];

/** Floats in one block of the gradient's norm. */
export const normBlockSize = 4096;

const bits = new DataView(new ArrayBuffer(4));

/** The word that carries a float32 argument. */
export function floatBits(value: number): number {
  bits.setFloat32(0, value);
  return bits.getInt32(0);
}

/** The float32 whose bits are `word`. */
export function bitsFloat(word: number): number {
  bits.setInt32(0, word);
  return bits.getFloat32(0);
}

/** An instruction's words. `s` arguments are given as numbers and stored by their bits. */
export function encodeInstruction<K extends KernelName>(name: K, args: KernelArguments<K>): number[] {
  const kinds = Object.entries(kernels[name].args) as [keyof typeof args & string, ArgumentKind][];
  const words = kinds.map(([key, kind]) => (kind === 's' ? floatBits(args[key]) : args[key] | 0));
  return [kernelNames.indexOf(name), words.length + 2, ...words];
}

/** The kernel's index, its arguments (`s` as numbers) and where the next instruction begins. */
export function decodeInstruction(
  words: Int32Array,
  at: number,
): { readonly name: KernelName; readonly args: Readonly<Record<string, number>>; readonly next: number } {
  const name = kernelNames[words[at]!];
  assert(name !== undefined, `no kernel has index ${words[at]}, at word ${at}`);
  const kinds = Object.entries<ArgumentKind>(kernels[name].args);
  assert(words[at + 1] === kinds.length + 2, `${name} at word ${at} has a wrong length`);
  const args = kinds.map(([key, kind], i) => {
    const word = words[at + 2 + i]!;
    return [key, kind === 's' ? bitsFloat(word) : word];
  });
  return { name, args: Object.fromEntries(args), next: at + 2 + kinds.length };
}

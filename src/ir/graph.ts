// A graph: values in the order they are computed (static single assignment). Data only; no behaviour.

import type { OpAttributes, OpName } from './ops.ts';

export type ValueId = number;

/** row: [rows, ...shape], one slice a sample. whole: just [...shape], such as a parameter or its gradient. */
export type Extent = 'row' | 'whole';

/** Dimensions of a whole tensor, or of one sample of a row tensor. */
export type Shape = readonly number[];

interface ValueOf<K extends OpName> {
  readonly id: ValueId;
  readonly op: K;
  readonly operands: readonly ValueId[];
  readonly attributes: OpAttributes[K];
  readonly extent: Extent;
  readonly shape: Shape;
  /** The layer it came from, for messages: 'conv1'. */
  readonly layer: string;
}

/** A value, narrowed by `op`. */
export type Value<K extends OpName = OpName> = { [O in K]: ValueOf<O> }[K];

export interface Graph {
  /** values[i].id === i; operands come before their users. */
  readonly values: readonly Value[];
  /** The prediction (logits where the loss is a cross entropy). */
  readonly output: ValueId;
  /** Losses and metrics: one number a row, in the order they are reported; the first is the loss. */
  readonly reports: readonly { readonly name: string; readonly value: ValueId }[];
}

/** A graph with its backward half: for every parameter, in the model's own order, the value that is its gradient. */
export interface TrainingGraph extends Graph {
  readonly gradients: readonly { readonly parameter: ValueId; readonly gradient: ValueId }[];
}

/** A trained tensor or a statistic as the model declares it. */
export interface TensorDeclaration {
  readonly name: string;
  readonly shape: Shape;
  readonly role: 'weight' | 'bias' | 'gamma' | 'beta' | 'runningMean' | 'runningVariance';
  /** How it starts; constants for all but weights. */
  readonly initializer: Initializer;
}

/** fanIn, fanOut: as the layer defines them (conv: times the window). All random ones are drawn per element. */
export type Initializer =
  | { readonly kind: 'zeros' }
  | { readonly kind: 'ones' }
  | { readonly kind: 'uniform'; readonly low: number; readonly high: number }
  | { readonly kind: 'gaussian'; readonly mean: number; readonly deviation: number };

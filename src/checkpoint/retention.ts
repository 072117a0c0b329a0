// Which checkpoints stay when a new one is on disk: the last few, and the best by a metric. Pure.

import type { MetricName } from '../nn/description.ts';

export type BestMetric = 'loss' | MetricName;

const better: Readonly<Record<BestMetric, 'higher' | 'lower'>> = {
  loss: 'lower',
  accuracy: 'higher',
  meanAbsoluteError: 'lower',
};

export interface Retention {
  /** The newest so many, the one just written included; never less than that one. */
  readonly keep: number;
  /** Beside them the best by this metric, as held-out samples were judged; the earlier of two that are equal. */
  readonly best?: BestMetric | undefined;
  /** Steps whose checkpoint is being read: they stay, too. Looked at when all else is decided. */
  readonly inUse?: readonly number[] | undefined;
}

/** A checkpoint that came to its end. */
export interface Finished {
  readonly step: number;
  /** Empty where its step was not evaluated. */
  readonly metrics: Readonly<Record<string, number>>;
}

/** Steps that stay of `finished`, in any order, after a checkpoint of step `newest`; later steps were abandoned. */
export function stepsThatStay(
  finished: readonly Finished[],
  newest: number,
  { keep, best, inUse }: Retention,
): ReadonlySet<number> {
  const history = finished.filter(({ step }) => step <= newest).sort((a, b) => b.step - a.step);
  const stay = new Set(history.slice(0, Math.max(1, keep)).map(({ step }) => step));
  stay.add(newest);
  const champion = best === undefined ? null : bestOf(history, best);
  if (champion !== null) stay.add(champion);
  for (const step of inUse ?? []) stay.add(step);
  return stay;
}

function bestOf(history: readonly Finished[], metric: BestMetric): number | null {
  const sign = better[metric] === 'higher' ? 1 : -1;
  let step: number | null = null;
  let score = Number.NEGATIVE_INFINITY;
  for (const one of history) {
    const value = one.metrics[metric];
    if (value === undefined || sign * value < score) continue;
    score = sign * value;
    step = one.step;
  }
  return step;
}

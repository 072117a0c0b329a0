// From what workers report to what people read: sums of shards, added in the fixed tree, as means. Pure.

import type { MessageOf } from '../proto/messages.ts';
import type { Cadence } from '../src/engine/cadence.ts';
import type { EvaluationEvent, Metrics, StepEvent } from '../src/engine/events.ts';
import { meanReports, totalReports } from '../src/engine/reports.ts';
import { batchRange } from '../src/numerics/permutation.ts';
import { type LearningRate, learningRateAt } from '../src/optim/schedule.ts';

export interface ReportFacts {
  readonly names: readonly string[];
  readonly shards: number;
  readonly batch: number;
  readonly trainSamples: number;
  readonly testSamples: number;
  readonly learningRate: LearningRate;
  readonly cadence: Cadence;
}

/** Aligned float32 of a message's unaligned bytes. */
function floatsOf(bytes: Uint8Array): Float32Array {
  return new Float32Array(new Uint8Array(bytes).buffer);
}

export function stepEvent(report: MessageOf<'report'>, facts: ReportFacts): StepEvent {
  const { from, to } = batchRange(report.step - 1, facts.trainSamples, facts.batch);
  const metrics: Metrics = meanReports(floatsOf(report.sums), facts.shards, to - from, facts.names);
  return {
    event: 'step',
    step: report.step,
    epoch: facts.cadence.epochOf(report.step),
    loss: metrics.loss!,
    metrics,
    learningRate: learningRateAt(facts.learningRate, report.step, facts.cadence.steps),
    gradientNorm: report.gradientNorm,
    samplesPerSecond: report.seconds > 0 ? (to - from) / report.seconds : 0,
  };
}

/** Sums of [batches][own shards][reports] of every worker, in the order of their shards. */
export function evaluationEvent(
  step: number,
  parts: readonly MessageOf<'evaluation'>[],
  facts: ReportFacts,
): EvaluationEvent {
  const reports = facts.names.length;
  const batches = Math.ceil(facts.testSamples / facts.batch);
  const whole = new Float32Array(facts.shards * reports);
  const totals = new Float64Array(reports);
  const sums = parts.map((part) => floatsOf(part.sums));
  for (let batch = 0; batch < batches; batch += 1) {
    let at = 0;
    for (const part of sums) {
      const size = part.length / batches;
      whole.set(part.subarray(batch * size, (batch + 1) * size), at);
      at += size;
    }
    totalReports(whole, facts.shards).forEach((total, i) => {
      totals[i]! += total;
    });
  }
  const metrics = Object.fromEntries(facts.names.map((name, i) => [name, totals[i]! / facts.testSamples]));
  return { event: 'evaluation', step, epoch: facts.cadence.epochOf(Math.max(step, 1)), metrics };
}

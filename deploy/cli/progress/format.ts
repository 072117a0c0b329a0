// What a run's events look like to a person: pure functions from events to text. No terminal, no clock.

import type { DoneEvent, Metrics, RunEvent, StartEvent, StepEvent } from '../../../src/engine/events.ts';

const bar = { full: '█', empty: '░', cells: 24 } as const;

/** 12345.6 -> '12,346' */
export function formatCount(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',');
}

/** 4000 -> '4 s', 75_000 -> '1 min 15 s', 3_700_000 -> '1 h 2 min' */
export function formatDuration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** Accuracies as percentages, everything else in four digits. */
export function formatMetric(name: string, value: number): string {
  if (name === 'accuracy' && Number.isFinite(value)) return `accuracy ${(100 * value).toFixed(2)} %`;
  return `${name} ${Number.isFinite(value) ? formatNumber(value) : String(value)}`;
}

function formatNumber(value: number): string {
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(3) : value.toFixed(4);
}

export function formatMetrics(metrics: Metrics): string {
  return Object.entries(metrics)
    .map(([name, value]) => formatMetric(name, value))
    .join('  ');
}

/** What the display knows at one moment. */
export interface ProgressState {
  readonly start: StartEvent | null;
  readonly step: StepEvent | null;
}

/** Time to the end at the pace of now, evaluations not counted; null before the first step. */
export function remainingMs({ start, step }: ProgressState): number | null {
  if (start === null || step === null || step.samplesPerSecond <= 0) return null;
  return (1000 * start.batch * Math.max(0, start.steps - step.step)) / step.samplesPerSecond;
}

function epochsOf(start: StartEvent): number {
  return Math.ceil(start.steps / start.stepsPerEpoch);
}

/** One step as one line, for logs without a terminal. */
export function formatStep(state: ProgressState): string {
  const { start, step } = state;
  if (step === null) return '';
  const { loss, ...metrics } = { loss: step.loss, ...step.metrics };
  const parts = [
    start === null
      ? `step ${step.step}`
      : `epoch ${step.epoch}/${epochsOf(start)}  step ${step.step}/${start.steps}`,
    formatMetrics({ loss, ...metrics }),
    `${formatCount(step.samplesPerSecond)} samples/s`,
  ];
  const remaining = remainingMs(state);
  if (remaining !== null) parts.push(`${formatDuration(remaining)} left`);
  return parts.join('  ');
}

/** The live line: a bar and the same facts, cut to the terminal's width. */
export function formatBar(state: ProgressState, columns: number): string {
  const { start, step } = state;
  if (start === null) return '';
  const share = step === null ? start.firstStep / start.steps : step.step / start.steps;
  const cells = Math.max(0, Math.min(bar.cells, Math.floor(share * bar.cells)));
  const facts = step === null ? 'starting ...' : formatStep(state);
  const line = `${bar.full.repeat(cells)}${bar.empty.repeat(bar.cells - cells)} ${Math.floor(share * 100)} %  ${facts}`;
  return line.length < columns ? line : line.slice(0, Math.max(0, columns - 1));
}

function formatStart(start: StartEvent): string {
  const where =
    start.workers === 0
      ? `one process, ${plural(start.threads, 'thread')}`
      : `${plural(start.workers, 'worker')} x ${plural(start.threads, 'thread')}`;
  const resumed = start.firstStep === 0 ? '' : `, from step ${start.firstStep}`;
  return (
    `${start.name}: ${formatCount(start.parameters)} parameters, ${formatCount(start.trainSamples)} samples, ` +
    `batch ${start.batch} in ${plural(start.shards, 'shard')}, ${plural(start.steps, 'step')}${resumed}; ` +
    `${where}, ${start.backend} kernels (${start.variant})`
  );
}

function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}

/** The line of an event that is not a step; null for those that have none. */
export function formatEvent(event: RunEvent): string | null {
  switch (event.event) {
    case 'start':
      return formatStart(event);
    case 'listening':
      return `waiting for workers at ${event.url}${event.isAny ? ', or another address of this machine' : ''}`;
    case 'membership':
      return `${plural(event.world, 'worker')}${event.wanted === null || event.world > event.wanted ? '' : ` of ${event.wanted}`} (generation ${event.generation}): ${event.reason}`;
    case 'evaluation':
      return `epoch ${event.epoch}  held-out samples: ${formatMetrics(event.metrics)}`;
    case 'notice':
      return event.message;
    case 'step':
    case 'checkpoint':
    case 'done':
      return null;
    default:
      return event satisfies never;
  }
}

export interface RunSummary {
  readonly start: StartEvent | null;
  /** Steps that were committed before this coordinator's first: by one before it, or by workers without one. */
  readonly since: number;
  /** Since the start, which may be a resume. */
  readonly elapsedMs: number;
  /** The command that goes on where the run was stopped. */
  readonly goOn: string;
}

/** What a person reads at the end of a run. */
export function formatSummary(done: DoneEvent, { start, since, elapsedMs, goOn }: RunSummary): string[] {
  const state = done.stopped ? `stopped after step ${done.steps}` : `done: ${plural(done.steps, 'step')}`;
  return [
    start === null || since === 0
      ? `${state} in ${formatDuration(elapsedMs)}`
      : `${state}; ${plural(done.steps - since, 'step')} since step ${since} in ${formatDuration(elapsedMs)}`,
    ...(Object.keys(done.metrics).length === 0 ? [] : [`  result          ${formatMetrics(done.metrics)}`]),
    `  weights SHA-256 ${done.weightsSha256}`,
    ...(done.checkpoint === null ? [] : [`  checkpoint      ${done.checkpoint}`]),
    ...(start === null ? [] : [`  run directory   ${start.out}`]),
    ...(done.stopped ? [`  to go on        ${goOn}`] : []),
  ];
}

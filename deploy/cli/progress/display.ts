// Shows a run while it goes (I/O: stdout, stderr, clock): a live bar on a terminal, otherwise a line now and then;
// with --json every event as one line of JSON on stdout. The texts are made in format.ts.

import type { DoneEvent, RunEvent, StartEvent, StepEvent } from '../../../src/engine/events.ts';
import { printable } from '../../../src/platform/printable.ts';
import { formatBar, formatEvent, formatStep, formatSummary, type ProgressState } from './format.ts';

const redrawIntervalMs = 100;
const plainIntervalMs = 4000;
const samplesPerSecondSmoothing = 0.2;
/** Of a terminal that does not tell. */
const columnsDefault = 100;
const eraseLine = '\r\u001b[2K';

export interface Streams {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}

export type DisplayStyle = 'bar' | 'plain' | 'json';

export function displayStyle({ stderr }: Streams, json: boolean): DisplayStyle {
  if (json) return 'json';
  return stderr.isTTY === true && process.env.TERM !== 'dumb' && process.env.CI === undefined
    ? 'bar'
    : 'plain';
}

export class RunDisplay {
  readonly #streams: Streams;
  readonly #style: DisplayStyle;
  readonly #goOn: string;
  #start: StartEvent | null = null;
  #step: StepEvent | null = null;
  /** The first that was taken since this process leads the run. */
  #firstStep: number | null = null;
  #startedMs = Date.now();
  #shownMs = 0;
  #barShown = false;

  /** @param goOn the command that goes on with the run where it is stopped */
  constructor(streams: Streams, style: DisplayStyle, goOn: string) {
    this.#streams = streams;
    this.#style = style;
    this.#goOn = goOn;
  }

  show(event: RunEvent): void {
    if (this.#style === 'json') {
      this.#streams.stdout.write(`${printable(JSON.stringify(event))}\n`);
      if (event.event === 'notice') this.#streams.stderr.write(`${printable(event.message)}\n`);
      return;
    }
    if (event.event === 'start') this.#begin(event);
    if (event.event === 'step') this.#showStep(event);
    else if (event.event === 'done') this.#finish(event);
    else this.log(formatEvent(event));
  }

  /** A line above the bar; null shows nothing. */
  log(line: string | null): void {
    if (line === null) return;
    this.#clearBar();
    this.#streams.stderr.write(`${printable(line)}\n`);
    this.#drawBar();
  }

  /** Leaves the terminal clean, whatever comes next. */
  close(): void {
    this.#clearBar();
    this.#start = null;
  }

  #begin(event: StartEvent): void {
    this.#start = event;
    this.#startedMs = Date.now();
  }

  #showStep(event: StepEvent): void {
    this.#firstStep ??= event.step;
    const last = this.#step?.samplesPerSecond ?? event.samplesPerSecond;
    const smooth = last + samplesPerSecondSmoothing * (event.samplesPerSecond - last);
    this.#step = { ...event, samplesPerSecond: smooth };
    const nowMs = Date.now();
    const intervalMs = this.#style === 'bar' ? redrawIntervalMs : plainIntervalMs;
    if (nowMs - this.#shownMs < intervalMs && event.step !== this.#start?.steps) return;
    this.#shownMs = nowMs;
    if (this.#style === 'bar') this.#drawBar();
    else this.#streams.stderr.write(`${printable(formatStep(this.#state()))}\n`);
  }

  #finish(event: DoneEvent): void {
    const start = this.#start;
    this.close();
    const since = this.#firstStep === null ? event.steps : this.#firstStep - 1;
    const elapsedMs = Date.now() - this.#startedMs;
    const lines = formatSummary(event, { start, since, elapsedMs, goOn: this.#goOn });
    this.#streams.stdout.write(`${lines.map(printable).join('\n')}\n`);
  }

  #state(): ProgressState {
    return { start: this.#start, step: this.#step };
  }

  #drawBar(): void {
    if (this.#style !== 'bar' || this.#start === null) return;
    const line = formatBar(this.#state(), this.#streams.stderr.columns || columnsDefault);
    this.#streams.stderr.write(`${eraseLine}${printable(line)}`);
    this.#barShown = true;
  }

  #clearBar(): void {
    if (this.#barShown) this.#streams.stderr.write(eraseLine);
    this.#barShown = false;
  }
}

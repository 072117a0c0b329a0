// One training as a person sees it (I/O): display, event log, signals and exit code around a function of the engine.

import type { DoneEvent, RunEvent, RunResult } from '../../src/engine/events.ts';
import { LockstepError } from '../../src/errors.ts';
import type { Context } from './context.ts';
import { goOnCommand } from './go-on.ts';
import { displayStyle, RunDisplay } from './progress/display.ts';
import { EventLog } from './progress/event-log.ts';
import type { OnEvent } from './run-api.ts';
import { ProcessStopSignal } from './stop-signal.ts';

export interface SessionOptions {
  readonly out: string;
  readonly json: boolean;
  readonly resume: boolean;
}

/** Runs `work` under a display; resolves with how it ended, null where a signal came first. Sets the exit code of a run that a signal stopped. */
export async function runSession(
  context: Context,
  options: SessionOptions,
  work: (signal: ProcessStopSignal, onEvent: OnEvent) => Promise<RunResult>,
): Promise<RunResult | null> {
  const display = new RunDisplay(
    context,
    displayStyle(context, options.json),
    goOnCommand(context.typed, options.out),
  );
  const signal = new ProcessStopSignal((line) => display.log(line));
  context.onReaderGone(() => signal.readerGone());
  // The log is made by the first event: a run that fails before it leaves nothing behind.
  let log: EventLog | null = null;
  let done = false;
  const onEvent = (event: RunEvent): void => {
    log ??= new EventLog(options.out, options.resume);
    log.write(event);
    display.show(event);
    done ||= event.event === 'done';
  };
  try {
    const result = await work(signal, onEvent);
    if (!done) onEvent({ event: 'done', ...result } satisfies DoneEvent);
    if (signal.exitCode !== null) context.setExitCode(signal.exitCode);
    return result;
  } catch (error) {
    // Asked to stop before there was anything to keep: that is what was wanted, not a failure.
    if (signal.exitCode === null || !(error instanceof LockstepError) || error.code !== 'LOCKSTEP_STOPPED')
      throw error;
    display.log(error.message);
    context.setExitCode(signal.exitCode);
    return null;
  } finally {
    display.close();
    (log as EventLog | null)?.close();
    signal.dispose();
  }
}

// What a command gets besides its options: the engine's functions, the streams, the machine.

import type { Streams } from './progress/display.ts';
import type { RunApi } from './run-api.ts';

export interface Context extends Streams {
  readonly api: RunApi;
  /** Cores of this machine. */
  readonly cores: number;
  readonly version: string;
  /** What was typed, from the program's name on. */
  readonly typed: readonly string[];
  /** Who hears, in place of the process ending at once, that nobody reads stdout any more. */
  onReaderGone(listener: () => void): void;
  /** Called by a command that ends well but not with 0: a run stopped by a signal. */
  setExitCode(code: number): void;
}

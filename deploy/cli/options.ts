// The options that several commands share, and how their values are checked. Pure. A wrong value is told by
// commander in one line; relations between options are in check-run.ts.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { limits } from '../../proto/limits.ts';
import type { BackendName } from '../../src/kernels/backend.ts';
import type { Address } from './run-api.ts';

export const workersMax = 256;
export const threadsMax = 1024;
export const backends = ['native', 'wasm', 'reference'] as const satisfies readonly BackendName[];

/** A path: anything but nothing, which a script gives whose variable is not set. */
export function path(text: string): string {
  if (text === '') throw new InvalidArgumentError('It must not be empty.');
  return text;
}

/** A parser of whole numbers from `min` to `max`. */
export function integer(min: number, max = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^[+-]?\d+$/.test(text) && value >= min && value <= max) return value;
    const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
    throw new InvalidArgumentError(`It must be a whole number ${range}.`);
  };
}

/** HOST:PORT, [IPv6]:PORT or HOST alone (port 0: any free one). */
export function address(text: string): Address {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s/]+))(?::(\d{1,5}))?$/.exec(text);
  const port = Number(match?.[3] ?? 0);
  const host = match?.[1] ?? match?.[2] ?? '';
  if (match === null || port > portMax || !isHost(host)) {
    throw new InvalidArgumentError('It must be HOST:PORT, for example 127.0.0.1:7070.');
  }
  return { host, port };
}

const portMax = 65_535;

/** A name or an address in full: of a number alone URL makes an address, but whoever gives one means a port. */
function isHost(text: string): boolean {
  const inUrl = text.includes(':') ? `[${text}]` : text;
  const url = URL.canParse(`ws://${inUrl}`) ? new URL(`ws://${inUrl}`) : null;
  return url !== null && (text.includes(':') || url.hostname === text.toLowerCase());
}

/** As `address`, for others to dial: one machine's, and not the one that stands for all of them. */
export function dialledAddress(text: string): Address {
  const { host, port } = address(text);
  if (port === 0 && /:0+$/.test(text) && !text.endsWith(']')) {
    throw new InvalidArgumentError(
      'Nobody can dial port 0: it must be HOST:PORT, or HOST where the port is the one listened at.',
    );
  }
  if (host === '0.0.0.0' || /^[0:]+$/.test(host)) {
    throw new InvalidArgumentError('It must be an address that the other workers can dial, not that of any.');
  }
  if (host.length > limits.hostCharsMax) {
    throw new InvalidArgumentError(`Its host must have at most ${limits.hostCharsMax} characters.`);
  }
  return { host, port };
}

/** ws://HOST:PORT or wss://HOST:PORT; http(s) and a bare HOST:PORT are understood. */
export function joinUrl(text: string): string {
  const withScheme = /^[a-z]+:\/\//i.test(text) ? text.replace(/^http/i, 'ws') : `ws://${text}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme) : null;
  const known = url?.protocol === 'ws:' || url?.protocol === 'wss:';
  const hasPort = /:\d+\/?$/.test(withScheme);
  if (url === null || !known || !hasPort || url.username !== '' || url.search !== '') {
    throw new InvalidArgumentError('It must be ws://HOST:PORT, as the coordinator prints it.');
  }
  if (url.port === '0')
    throw new InvalidArgumentError('Nobody can dial port 0: give the one that the coordinator prints.');
  const usualPort = url.protocol === 'ws:' ? '80' : '443'; // which URL leaves out
  return `${url.protocol}//${url.hostname}:${url.port || usualPort}`;
}

export function workersOption(meaning: string): Option {
  return new Option('--workers <count>', meaning).argParser(integer(0, workersMax));
}

export function minWorkersOption(): Option {
  return new Option('--min-workers <count>', 'pause the run while fewer workers than this are there')
    .argParser(integer(1, workersMax))
    .default(1);
}

/** Of a command that starts workers. */
export function workerThreadsOption(usual: number | null = null): Option {
  const meaning = 'compute threads of each worker';
  return usual === null
    ? threads(`${meaning} (default: the cores, shared out)`)
    : threads(meaning).default(usual);
}

/** Of a command that computes in its own process. */
export function threadsOption(): Option {
  return threads('compute threads (default: the cores)');
}

function threads(meaning: string): Option {
  return new Option('--threads <count>', meaning).argParser(integer(1, threadsMax));
}

export function backendOption(): Option {
  return new Option(
    '--backend <name>',
    'kernels to compute with (default: native where it is built, else wasm)',
  ).choices(backends);
}

export function dataOption(usual = 'beside the config'): Option {
  const meaning = `where the config's data files are (default: ${usual})`;
  return new Option('--data <directory>', meaning).argParser(path);
}

/** @param what is printed: events, unless said */
export function jsonOption(what = 'events as NDJSON'): Option {
  return new Option('--json', `print ${what} on stdout`);
}

export function tokenFileOption(): Option {
  return new Option(
    '--token-file <file>',
    'file with the token of the cluster (default: LOCKSTEP_TOKEN in the environment)',
  ).argParser(path);
}

export function insecureOption(): Option {
  return new Option(
    '--insecure',
    'allow an address that other machines reach, though traffic is not encrypted',
  );
}

/** What changes the run itself, in place of the config's values. */
export interface OverrideOptions {
  readonly shards?: number;
  readonly steps?: number;
  readonly epochs?: number;
  readonly seed?: number;
}

/** How a run is kept and continued. */
export interface KeepOptions {
  readonly data?: string;
  readonly out?: string;
  readonly resume?: boolean;
  readonly stopAfter?: number;
  readonly json?: boolean;
}

/** The options of every command that runs a training. */
export function addRunOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--shards <count>',
        "shards of a batch (default: the config's); changes the result",
      ).argParser(integer(1)),
    )
    .addOption(
      new Option('--steps <count>', 'length of the run in optimizer steps')
        .argParser(integer(1))
        .conflicts('epochs'),
    )
    .addOption(
      new Option('--epochs <count>', 'length of the run in passes over the data').argParser(integer(1)),
    )
    .addOption(
      new Option('--seed <number>', "seed of the run (default: the config's)").argParser(
        integer(0, 2 ** 32 - 1),
      ),
    )
    .addOption(dataOption())
    .addOption(
      new Option(
        '--out <directory>',
        'where checkpoints and events go (default: runs/NAME, or NAME-2 and so on where there is one)',
      ).argParser(path),
    )
    .addOption(
      new Option(
        '--resume',
        'go on from the newest good checkpoint of the run in --out, else of the newest in runs',
      ),
    )
    .addOption(
      new Option('--stop-after <step>', 'stop with a checkpoint after this step; --resume goes on').argParser(
        integer(1),
      ),
    )
    .addOption(jsonOption());
}

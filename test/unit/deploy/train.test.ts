// Settings of train(): whatever is given, the run runs or is refused at once with one line, and a refused call leaves nothing.

import { existsSync, readdirSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkSettings } from '../../../deploy/settings.ts';
import { train } from '../../../deploy/train.ts';
import type { ConfigInput } from '../../../src/config/schema.ts';
import { LockstepError } from '../../../src/errors.ts';

const config: ConfigInput = {
  name: 'settings',
  data: { kind: 'digits', train: 8, test: 0 },
  model: { input: [28, 28, 1], layers: [{ type: 'flatten' }, { type: 'dense', units: 10 }] },
  loss: 'softmaxCrossEntropy',
  optimizer: { type: 'sgd', learningRate: 0.1 },
  batch: 8,
  steps: 1,
};
const circle: Record<string, unknown> = {};
circle.self = circle;

let directory = '';
const home = process.cwd();
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lockstep-settings-'));
  process.chdir(directory);
});
afterAll(() => {
  process.chdir(home);
  rmSync(directory, { recursive: true });
});

describe('a setting that is wrong is named', () => {
  const cases: readonly (readonly [unknown, string])[] = [
    [{ worker: 1 }, 'settings.worker: unknown key; did you mean "workers"?'],
    [{ workers: -1 }, 'settings.workers: must be at least 0, got -1'],
    [{ workers: 1.5 }, 'settings.workers: expected an integer, got 1.5'],
    [{ workers: Number.NaN }, 'settings.workers: expected a number, got NaN'],
    [{ workers: '2' }, 'settings.workers: expected a number, got "2"'],
    [{ workers: null }, 'settings.workers: expected a number, got null'],
    [{ workers: 2n }, 'settings.workers: expected a number, got a bigint'],
    [{ workers: circle }, 'settings.workers: expected a number, got an object'],
    [{ threads: 0 }, 'settings.threads: must be at least 1, got 0'],
    [{ backend: 'nativ' }, 'settings.backend: "nativ" is not valid here; did you mean "native"?'],
    [{ resume: 'yes' }, 'settings.resume: expected true or false, got "yes"'],
    [{ stopAfterStep: 0 }, 'settings.stopAfterStep: must be at least 1, got 0'],
    [{ data: 7 }, 'settings.data: expected a string, got 7'],
    [{ out: '' }, 'settings.out: expected a path, got ""'],
    [{ out: 'a\0b' }, 'settings.out: expected a path, got "a\\u0000b"'],
    [{ onEvent: 'log' }, 'settings.onEvent: expected a function, got "log"'],
    [{ onevent: () => undefined }, 'settings.onevent: unknown key; did you mean "onEvent"?'],
    [{ signal: {} }, 'settings.signal: expected an AbortSignal or a StopSignal, got {}'],
    [{ thread: 1, worker: 1 }, 'settings.thread: unknown key; did you mean "threads"? (and 1 more)'],
    [null, 'settings: expected an object, got null'],
    [[], 'settings: expected an object, got []'],
    [2, 'settings: expected an object, got 2'],
  ];

  it.each(cases)('%o', (settings, message) => {
    expect(() => checkSettings(settings)).toThrow(
      expect.objectContaining({
        code: 'LOCKSTEP_USAGE',
        exitCode: 2,
        message: expect.stringContaining(message),
      }),
    );
  });

  it('also where reading it throws', () => {
    const settings = {
      get workers(): number {
        throw new Error('no number');
      },
    };
    expect(() => checkSettings(settings)).toThrow(
      expect.objectContaining({ code: 'LOCKSTEP_USAGE', message: 'settings: cannot be read: no number' }),
    );
  });
});

it('a setting that is undefined was not given', () => {
  const names = [
    'workers',
    'threads',
    'backend',
    'data',
    'out',
    'resume',
    'stopAfterStep',
    'onEvent',
    'signal',
  ];
  expect(() => checkSettings(Object.fromEntries(names.map((name) => [name, undefined])))).not.toThrow();
  expect(() => checkSettings({})).not.toThrow();
});

const anything = fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true });
const known = ['workers', 'threads', 'backend', 'resume', 'stopAfterStep', 'onEvent', 'signal'] as const;
const good = fc.constantFrom<Record<string, unknown>>(
  {},
  { threads: 1, backend: 'reference' },
  { stopAfterStep: 1, onEvent: () => undefined },
  { signal: new AbortController().signal },
);
const settingsOf = fc.oneof(
  { weight: 2, arbitrary: anything.filter((value) => value !== undefined) },
  {
    weight: 4,
    arbitrary: fc
      .tuple(good, fc.constantFrom(...known), anything)
      .map(([base, key, value]) => ({ ...base, [key]: value })),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(good, fc.string(), anything).map(([base, key, value]) => ({ ...base, [key]: value })),
  },
  { weight: 1, arbitrary: good },
);

/** Many threads would run, but take long. */
const isSmall = (settings: unknown): boolean => {
  const { threads = 1, workers = 0 } = Object(settings) as { threads?: unknown; workers?: unknown };
  return !(typeof threads === 'number' && threads > 4) && !(typeof workers === 'number' && workers > 0);
};

async function expectRunOrRefusal(call: () => Promise<unknown>): Promise<void> {
  const before = readdirSync(directory);
  const startedMs = performance.now();
  const error: unknown = await call().then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (error === null) {
    rmSync(join(directory, 'runs'), { recursive: true });
    return;
  }
  expect(error).toBeInstanceOf(LockstepError);
  expect((error as LockstepError).exitCode).toBe(2);
  expect((error as LockstepError).message).toMatch(/^(settings|config|runs\/settings)\b[^\n]*$/);
  expect(performance.now() - startedMs).toBeLessThan(10_000);
  expect(readdirSync(directory)).toEqual(before);
}

it('any settings run, or are refused within a second; a refused call leaves nothing', async () => {
  await fc.assert(
    fc.asyncProperty(settingsOf.filter(isSmall), (settings) =>
      expectRunOrRefusal(() => train(config, settings as never)),
    ),
    { numRuns: 100 },
  );
}, 120_000);

it('any config runs, or is refused within a second; a refused call leaves nothing', async () => {
  const configs = fc.oneof(
    anything.filter((value) => typeof value !== 'string'),
    fc
      .tuple(fc.constantFrom(...Object.keys(config)), anything)
      // A batch beyond the machine's memory is refused as such, and many steps take long.
      .filter(([, value]) => !(typeof value === 'number' && value > 1_000))
      .map(([key, value]) => ({ ...config, [key]: value })),
  );
  await fc.assert(
    fc.asyncProperty(configs, (given) => expectRunOrRefusal(() => train(given as never))),
    { numRuns: 100 },
  );
}, 120_000);

it('a path that leads nowhere is refused with its name', async () => {
  for (const path of ['nowhere.json', '', 'a\0b']) {
    const error: unknown = await train(path).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ exitCode: 2, message: expect.stringContaining(path.slice(0, 1)) });
  }
  expect(existsSync(join(directory, 'runs'))).toBe(false);
});

it('an AbortSignal stops the run, with a checkpoint', async () => {
  const controller = new AbortController();
  const result = await train(
    { ...config, steps: 1_000_000 },
    {
      out: join(directory, 'aborted'),
      signal: controller.signal,
      onEvent: ({ event }) => void (event === 'step' && controller.abort()),
    },
  );
  expect(result.stopped).toBe(true);
  expect(existsSync(result.checkpoint ?? '')).toBe(true);
});

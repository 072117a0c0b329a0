// Which checkpoints stay: the last few, the best by a metric, never one of an abandoned history.

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Finished, type Retention, stepsThatStay } from '../../../src/checkpoint/retention.ts';
import { decodeSidecar, encodeSidecar } from '../../../src/checkpoint/sidecar.ts';
import { writeCheckpoint } from '../../../src/checkpoint/store.ts';
import { sampleFitted } from '../../support/fitted.ts';

const at = (step: number, metrics: Record<string, number> = {}): Finished => ({ step, metrics });
const accuracies = [
  at(1, { accuracy: 0.7 }),
  at(2, { accuracy: 0.9 }),
  at(3, { accuracy: 0.8 }),
  at(4),
  at(5),
];
const losses = [0.5, 0.2, 0.2, 0.4, 0.3].map((loss, i) => at(i + 1, { loss }));

test.each<[string, readonly Finished[], number, Retention, number[]]>([
  ['the last three', losses, 5, { keep: 3 }, [3, 4, 5]],
  ['never less than the new one', losses, 5, { keep: 0 }, [5]],
  ['the highest accuracy', accuracies, 5, { keep: 1, best: 'accuracy' }, [2, 5]],
  ['the lowest loss, the earlier of two', losses, 5, { keep: 1, best: 'loss' }, [2, 5]],
  ['the best is one of the last', losses, 3, { keep: 2, best: 'loss' }, [2, 3]],
  ['nothing was evaluated', [at(1), at(2)], 2, { keep: 1, best: 'loss' }, [2]],
  ['what is being read', losses, 5, { keep: 1, inUse: [3, 3] }, [3, 5]],
  ['later steps go, even the best', losses, 1, { keep: 3, best: 'loss' }, [1]],
])('%s', (_, finished, newest, retention, expected) => {
  for (const order of [finished, [...finished].reverse()]) {
    expect([...stepsThatStay(order, newest, retention)].sort((a, b) => a - b)).toEqual(expected);
  }
});

test('on disk: the best stays for as long as it is the best', async () => {
  const run = mkdtempSync(join(tmpdir(), 'lockstep-run-'));
  const seen: string[] = [];
  for (const [i, loss] of [0.5, 0.1, 0.4, 0.3, 0.05].entries()) {
    await writeCheckpoint(
      run,
      {
        step: i + 1,
        seed: 1,
        config: {},
        fingerprint: '',
        datasetSha256: 'd'.repeat(64),
        trainSha256: 'e'.repeat(64),
        fitted: sampleFitted,
        parameters: [{ name: 'w', shape: [1], data: Float32Array.of(i) }],
        statistics: [],
        slots: [],
        metrics: { loss },
        previousSha256: null,
      },
      { keep: 1, best: 'loss' },
    );
    const names = readdirSync(join(run, 'checkpoints')).filter((name) => name.endsWith('.json'));
    seen.push(names.map((name) => String(Number.parseInt(name.slice(5), 10))).join(' '));
  }
  rmSync(run, { recursive: true });
  expect(seen).toEqual(['1', '2', '2 3', '2 4', '5']);
});

test('a .json is believed as it was written, with any one value changed it is not', () => {
  const hash = (digit: string) => digit.repeat(64);
  const sidecar = {
    step: 3,
    bytes: 100,
    sha256: hash('a'),
    previousSha256: null,
    weightsSha256: hash('b'),
    metrics: { loss: 0.5 },
  };
  const text = new TextDecoder().decode(encodeSidecar(sidecar));
  expect(decodeSidecar(text)).toEqual(sidecar);
  for (const [from, to] of [
    ['0.5', '0.4'],
    ['loss', 'lost'],
    ['100', '101'],
    [': 3', ': 4'],
    ['"check": "', '"check": "0'],
  ] as const) {
    expect(text).toContain(from);
    expect(decodeSidecar(text.replace(from, to))).toBeNull();
  }
});

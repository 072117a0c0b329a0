// A worker that comes back while the last checkpoint is written: it is told how the run ended, and not turned away to dial again.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openRun } from '../../../coordinator/serve.ts';
import type { MessageFrom, MessageOf } from '../../../proto/messages.ts';
import { type Link, memoryPair } from '../../../proto/transport/link.ts';
import { protocolVersion } from '../../../proto/version.ts';
import { stateDigest } from '../../../src/checkpoint/state-digest.ts';
import { parseConfig } from '../../../src/config/parse.ts';
import { loadDataset } from '../../../src/data/load.ts';
import { deferred } from '../../../src/platform/deferred.ts';
import { packageVersion } from '../../../src/platform/package-root.ts';
import { hello } from './story.ts';

const config = parseConfig(
  {
    data: { kind: 'digits', train: 40, test: 0 },
    model: { input: [28, 28, 1], layers: [{ type: 'flatten' }, { type: 'dense', units: 10 }] },
    loss: 'softmaxCrossEntropy',
    optimizer: { type: 'sgd', learningRate: 0.1 },
    batch: 20,
    steps: 1,
  },
  'test.json',
);

let out = '';
beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), 'lockstep-late-'));
});
afterEach(() => rmSync(out, { recursive: true }));

/** Weights of 784 x 10 and 10 biases, each tensor from a multiple of 16 floats on. */
const state = new Float32Array(784 * 10 + 16);

/** Says what a worker alone says up to the end of a run of one step. */
function answers(message: MessageFrom<'coordinator'>): MessageFrom<'worker'>[] {
  const generation = 'generation' in message ? message.generation : 0;
  const digest = stateDigest([{ floats: state }]);
  const bytes = new Uint8Array(state.buffer);
  const total = bytes.length;
  const piece: MessageOf<'statePiece'> = {
    ...{ type: 'statePiece', generation, step: 1, section: 'parameters', offset: 0, total, bytes },
  };
  switch (message.type) {
    case 'welcome':
      return [{ type: 'ready', generation: 0, digest: 0 }];
    case 'membership':
      return [{ type: 'standing', generation, hasState: false, step: 0 }];
    case 'align':
      return [{ type: 'ready', generation, digest }];
    case 'start':
      return [
        {
          ...{ type: 'report', generation, step: 1, sums: new Uint8Array(8 * 2 * 4) },
          ...{ gradientNorm: 0, seconds: 1 },
        },
        { type: 'digest', generation, step: 1, digest },
        piece,
        { type: 'finished', generation, step: 1, weightsSha256: 'a'.repeat(64) },
      ];
    default:
      return [];
  }
}

it('is told how the run ended', async () => {
  const dataset = await loadDataset(config.data, { directory: '.' });
  const options = { config, dataset, out, resume: false, workers: 0, stopAfterStep: undefined };
  const run = await openRun({ ...options, onEvent: () => undefined });
  if (run.is !== 'open') throw new Error('it is over');
  const { session } = run;
  const heard = deferred<MessageFrom<'coordinator'>>();
  const greeting = hello('w1', { packageVersion: packageVersion(), protocolVersion });
  let nameSecret = '';
  const join = (onMessage: (message: MessageFrom<'coordinator'>, link: Link<'worker'>) => void): void => {
    const { coordinator, worker } = memoryPair();
    session.accept(coordinator);
    worker.start({ onMessage: (message) => onMessage(message, worker), onClose: () => undefined });
    worker.send({ ...greeting, nameSecret });
  };
  let ended = false;
  join((message, link) => {
    if (message.type === 'welcome') nameSecret = message.nameSecret;
    for (const answer of answers(message)) link.send(answer);
    if (message.type === 'start') {
      // In the turn after the one in which the coordinator has heard all: the checkpoint is not written by then.
      setImmediate(() => setImmediate(() => join((last) => heard.resolve(last))));
    }
    ended ||= message.type === 'done';
  });
  await expect(session.result).resolves.toMatchObject({ steps: 1, stopped: false });
  expect(ended).toBe(true);
  expect(await heard.promise).toEqual({ type: 'done', step: 1, stopped: false });
});

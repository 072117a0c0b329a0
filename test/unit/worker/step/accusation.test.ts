// Whose part it was, as far as losses can tell.

import { expect, it } from 'vitest';
import { accusationOf } from '../../../../worker/step/accusation.ts';

const member = (workerId: string, firstShard: number, endShard: number) => ({
  ...{ workerId, host: '', port: 1, firstShard, endShard },
});
const members = [member('a', 0, 2), member('b', 2, 3), member('c', 3, 5)];
/** Two reports a shard; the losses of these shards are bad. */
const sums = (...bad: number[]): Float32Array =>
  Float32Array.from({ length: 10 }, (_, i) => (i % 2 === 0 && bad.includes(i / 2) ? Number.NaN : 1));

it('names the owners of bad losses once everything that came was looked at', () => {
  expect(accusationOf(sums(2, 4), members, 0, true)).toEqual({
    ranks: [1, 2],
    what: 'the loss of shard 2 is not finite, though it is when worker a computes the step alone',
  });
});

it('names nobody before that: the numbers may be of batch statistics that another sent', () => {
  expect(accusationOf(sums(2), members, 0, false).ranks).toEqual([]);
});

it('names nobody where the own losses are bad too', () => {
  expect(accusationOf(sums(1, 2), members, 0, true).ranks).toEqual([]);
});

it("names nobody for a gradient's norm", () => {
  expect(accusationOf(sums(), members, 0, true)).toMatchObject({
    ranks: [],
    what: expect.stringMatching(/^the gradient's norm is not finite/),
  });
});

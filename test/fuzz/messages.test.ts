// At least 200,000 hostile frames, of every message: each decodes to a message that keeps to the table, or throws
// ProtocolError; never anything else, and never more memory or time than the frame is worth.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { decodeMessage, encodeMessage, readTensorHead } from '../../proto/codec.ts';
import { ProtocolError } from '../../proto/error.ts';
import { type End, messages, messageTypes } from '../../proto/messages.ts';
import { messageArbitrary } from '../unit/proto/arbitraries.ts';
import { type Base, Chance, mutated } from './mutations.ts';

const framesEach = 8_000;
const basesEach = 24;
const seed = Number(process.env.LOCKSTEP_FUZZ_SEED ?? 1);
const ends: readonly End[] = ['coordinator', 'worker', 'peer'];
/** What all of them together may leave behind, and the slowest may take: far above a collector's pause on a slow core. */
const residentGrowthBytesMax = 256 * 2 ** 20;
const slowestMs = 2_000;

const bases = messageTypes.map((type): readonly Base[] =>
  fc
    .sample(messageArbitrary(type), { numRuns: basesEach, seed })
    .map((message) => ({ message, frame: encodeMessage(message) })),
);

/** What the decoder gave is what the table allows: known type, its fields and no others, binary as views of the frame. */
function brokenRule(value: unknown, frame: Uint8Array, local: End): string | null {
  if (Object.getPrototypeOf(value) !== Object.prototype) return 'not a plain map';
  const { type, ...fields } = value as { readonly type: keyof typeof messages };
  const { direction, fields: table } = messages[type];
  const peers = direction === 'peer' || direction === 'any';
  if (local === 'peer' ? !peers : direction === 'peer') return `${type} is not for ${local}`;
  if (Object.keys(fields).sort().join() !== Object.keys(table).sort().join())
    return `other fields in ${type}`;
  for (const part of Object.values(fields)) {
    if (part instanceof Uint8Array && part.length > 0 && part.buffer !== frame.buffer)
      return 'binary was copied';
  }
  const packed = encodeMessage(value as never);
  const again = encodeMessage(decodeMessage(packed, local));
  return Buffer.compare(packed, again) === 0 ? null : `${type} does not survive a round trip`;
}

it(`${framesEach * messageTypes.length} hostile frames end as a message of the table or as ProtocolError (seed ${seed})`, () => {
  expect(framesEach * messageTypes.length).toBeGreaterThanOrEqual(200_000);
  const chance = new Chance(seed);
  const prototypeKeys = Reflect.ownKeys(Object.prototype).length;
  const before = process.memoryUsage.rss();
  const outcomes = new Map<string, number>();
  let slowest = 0;
  messageTypes.forEach((type, which) => {
    for (let each = 0; each < framesEach; each++) {
      const base = bases[which]![each % basesEach]!;
      const other = chance.pick(chance.pick(bases));
      const frame = mutated(base, other, chance);
      const local = chance.pick(ends);
      const told = (): string =>
        `${type}, frame ${each} of seed ${seed}: ${Buffer.from(frame).toString('hex').slice(0, 400)}`;
      const started = performance.now();
      let outcome = 'good';
      try {
        readTensorHead(frame);
        const value = decodeMessage(frame, local);
        const broken = brokenRule(value, frame, local);
        if (broken !== null) throw new Error(broken);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw new Error(`${told()}: ${error}`, { cause: error });
        if (error.message.length > 1_000)
          throw new Error(`${told()}: a message of ${error.message.length} characters`);
        outcome = error.code;
      }
      slowest = Math.max(slowest, performance.now() - started);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
  });
  // The frames reach every layer: not all are stopped at the first gate, and some are good.
  for (const outcome of ['good', 'malformed', 'invalid', 'unknownType', 'unexpected'])
    expect(outcomes.get(outcome) ?? 0, outcome).toBeGreaterThan(500);
  expect(Reflect.ownKeys(Object.prototype)).toHaveLength(prototypeKeys);
  expect(
    (Object.create(null) as { polluted?: unknown }).polluted ?? ({} as { polluted?: unknown }).polluted,
  ).toBeUndefined();
  expect(process.memoryUsage.rss() - before).toBeLessThan(residentGrowthBytesMax);
  expect(slowest).toBeLessThan(slowestMs);
}, 120_000);

// At least 200,000 hostile messages, of every type: each decodes to a message that keeps to the table, or throws
// ProtocolError; never anything else, and never more memory or time than it is worth. Most are sealed by who changed them,
// as one with the token can; of those that were changed behind their seal, every one that differs is refused as corrupt.

import fc from 'fast-check';
import { pack } from 'msgpackr';
import { expect, it } from 'vitest';
import { readTensorHead } from '../../proto/codec.ts';
import { ProtocolError } from '../../proto/error.ts';
import { type End, messages, messageTypes } from '../../proto/messages.ts';
import { decoded, encoded, sealed } from '../support/sealing.ts';
import { messageArbitrary } from '../unit/proto/arbitraries.ts';
import { type Base, Chance, changedBytes, mutated } from './mutations.ts';

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
    .map((message) => ({ message, bytes: pack(message) })),
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
  const packed = encoded(value as never);
  const again = encoded(decoded(packed, local));
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
      const isSealedAgain = each % 8 !== 0;
      const intact = [base, other].map(({ bytes }) => sealed(bytes)) as [Uint8Array, Uint8Array];
      const frame = isSealedAgain ? sealed(mutated(base, other, chance)) : changedBytes(...intact, chance);
      const local = chance.pick(ends);
      const told = (): string =>
        `${type}, frame ${each} of seed ${seed}: ${Buffer.from(frame).toString('hex').slice(0, 400)}`;
      const started = performance.now();
      let outcome = 'good';
      try {
        readTensorHead(frame);
        const value = decoded(frame, local);
        const broken = brokenRule(value, frame, local);
        if (broken !== null) throw new Error(broken);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw new Error(`${told()}: ${error}`, { cause: error });
        if (error.message.length > 1_000)
          throw new Error(`${told()}: a message of ${error.message.length} characters`);
        outcome = error.code;
      }
      const isIntact = isSealedAgain || intact.some((one) => Buffer.compare(frame, one) === 0);
      if (!isIntact && outcome !== 'corrupt')
        throw new Error(`${told()}: changed behind its seal, and ${outcome}`);
      slowest = Math.max(slowest, performance.now() - started);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
  });
  // The frames reach every layer: not all are stopped at the first gate, and some are good.
  for (const outcome of ['good', 'corrupt', 'malformed', 'invalid', 'unknownType', 'unexpected'])
    expect(outcomes.get(outcome) ?? 0, outcome).toBeGreaterThan(500);
  expect(Reflect.ownKeys(Object.prototype)).toHaveLength(prototypeKeys);
  expect(
    (Object.create(null) as { polluted?: unknown }).polluted ?? ({} as { polluted?: unknown }).polluted,
  ).toBeUndefined();
  expect(process.memoryUsage.rss() - before).toBeLessThan(residentGrowthBytesMax);
  expect(slowest).toBeLessThan(slowestMs);
}, 120_000);

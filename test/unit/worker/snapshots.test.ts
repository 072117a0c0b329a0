// Snapshots on their way: one at a time, the last of all waits, and those of a generation that is over make room.

import { expect, it } from 'vitest';
import type { MessageFrom, MessageOf } from '../../../proto/messages.ts';
import type { Link } from '../../../proto/transport/link.ts';
import type { EngineMemory } from '../../../src/engine/memory.ts';
import type { StateLayout } from '../../../src/engine/state.ts';
import { type Deferred, deferred } from '../../../src/platform/deferred.ts';
import { checkFinite, Snapshots } from '../../../worker/snapshots.ts';

const tensor = { name: 'w', shape: [4], offset: 0, size: 4 };
const layout = {
  parameters: [tensor],
  statistics: [],
  sections: [
    { name: 'parameters', kind: 'parameters', size: 4, tensors: [tensor] },
    { name: 'slot0', kind: 'slot', size: 4, tensors: [tensor] },
  ],
} as const satisfies StateLayout;

const memoryOf = (value: number): EngineMemory =>
  ({
    parameters: new Float32Array(4).fill(value),
    statistics: new Float32Array(0),
    slots: [new Float32Array(4).fill(-value)],
  }) as unknown as EngineMemory;

/** A link that is drained by hand. */
class HeldLink implements Link<'worker'> {
  readonly remoteAddress = 'here';
  readonly sent: MessageOf<'statePiece'>[] = [];
  #room: Deferred<void> = deferred<void>();

  start(): void {}
  watch(): void {}
  close(): void {}
  send(message: MessageFrom<'worker'>): boolean {
    this.sent.push(structuredClone(message) as MessageOf<'statePiece'>);
    return true;
  }
  drained(): Promise<void> {
    return this.#room.promise;
  }
  open(): void {
    this.#room.resolve();
  }
  get told(): string[] {
    return this.sent.map(({ generation, step, section }) => `${generation}/${step}/${section}`);
  }
}

class Sender {
  readonly link = new HeldLink();
  readonly snapshots = new Snapshots();
  generation = 1;

  take(step: number, isLast = false, value = step): Promise<void> {
    const { generation } = this;
    const of = { generation, step, isLast, isWanted: () => this.generation === generation };
    return this.snapshots.take(of, memoryOf(value), layout, this.link);
  }
}

it('leaves out what comes while one is on its way, never the last', async () => {
  const sender = new Sender();
  const taken = [sender.take(1), sender.take(2), sender.take(3, true)];
  sender.link.open();
  await Promise.all(taken);
  expect(sender.link.told).toEqual(['1/1/parameters', '1/1/slot0', '1/3/parameters', '1/3/slot0']);
  expect(new Float32Array(sender.link.sent[3]!.bytes.slice().buffer)).toEqual(new Float32Array(4).fill(-3));
});

it('that of a new generation is sent, and the rest of the one before is not', async () => {
  const sender = new Sender();
  const first = sender.take(1);
  await Promise.resolve();
  sender.generation = 2;
  const second = sender.take(1);
  sender.link.open();
  await Promise.all([first, second]);
  expect(sender.link.told).toEqual(['1/1/parameters', '2/1/parameters', '2/1/slot0']);
});

it.each([Number.NaN, Number.POSITIVE_INFINITY])('a state with %s is refused by name', (bad) => {
  const memory = memoryOf(1);
  checkFinite(5, memory, layout);
  memory.slots[0]![3] = bad;
  expect(() => checkFinite(5, memory, layout)).toThrow(
    expect.objectContaining({
      code: 'LOCKSTEP_NOT_FINITE',
      message: expect.stringContaining('after step 5 w of slot0 is not finite'),
    }),
  );
  memory.parameters[2] = bad;
  expect(() => checkFinite(5, memory, layout)).toThrow('after step 5 w of parameters is not finite');
});

// A wire that flips, loses and adds bytes, between real ends: what arrives is the beginning of what was sent, to the byte,
// and the connection that was hit ends as corrupt or lost, never as the sender's misconduct.

import { createServer, connect as dialRaw, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { isMisconduct } from '../../../../proto/error.ts';
import type { Message } from '../../../../proto/messages.ts';
import { connect } from '../../../../proto/transport/client.ts';
import type { CloseReason } from '../../../../proto/transport/connection.ts';
import { type Listener, listen } from '../../../../proto/transport/server.ts';
import { Token } from '../../../../proto/transport/token.ts';
import { Chance } from '../../../fuzz/mutations.ts';
import { dialWebSocket, maskedFrame } from '../../../support/raw-websocket.ts';
import { encoded, tensorMessage } from '../../../support/sealing.ts';

const token = Token.generate();
const path = '/wire';
const cleanUp: (() => unknown)[] = [];

afterEach(async () => {
  for (const action of cleanUp.splice(0).reverse()) await action();
});

interface Heard {
  /** As they came: messages, and tensors that were taken while they came. */
  readonly messages: Message[];
  readonly reason: Promise<CloseReason>;
}

/** A peer that takes tensors while they come; `next` gives what its next connection hears. */
async function listening(): Promise<{ listener: Listener; next: () => Promise<Heard> }> {
  const waiting: ((heard: Heard) => void)[] = [];
  const listener = await listen<'peer'>({
    local: 'peer',
    port: 0,
    path,
    roles: ['peer'],
    token,
    onConnection: (connection) => {
      const messages: Message[] = [];
      const reason = new Promise<CloseReason>((resolve) => {
        connection.start({
          onMessage: (message) => messages.push(message),
          onClose: resolve,
          openTensor: (head, dataBytes) => {
            const data = Buffer.alloc(dataBytes);
            let at = 0;
            return {
              write: (bytes) => {
                data.set(bytes, at);
                at += bytes.length;
              },
              end: () => messages.push({ ...head, data } as Message),
            };
          },
        });
      });
      waiting.shift()!({ messages, reason });
    },
  });
  cleanUp.push(() => listener.close());
  return { listener, next: () => new Promise((resolve) => waiting.push(resolve)) };
}

const hex = (message: Message): string => Buffer.from(encoded(message)).toString('hex');

const hello: Message = { type: 'peerHello', runId: 'r', generation: 1, rank: 1 };

const ping = (messages: number): Buffer => maskedFrame(Uint8Array.of(0, 0, 0, messages), [0, 0, 0, 0], 0x89);

describe('a small message and the ping behind it', () => {
  /** What these bytes, and then the end of the stream, come to. */
  async function outcome(
    { listener, next }: Awaited<ReturnType<typeof listening>>,
    bytes: Uint8Array,
  ): Promise<{ messages: readonly Message[]; reason: CloseReason }> {
    const heard = next();
    const socket = await dialWebSocket({ port: listener.port, path, role: 'peer', token });
    socket.end(bytes);
    const { messages, reason } = await heard;
    const ended = await reason;
    return { messages, reason: ended };
  }

  const codeOf = (reason: CloseReason): string =>
    reason.kind === 'protocol' ? reason.error.code : reason.kind;

  it.each([
    ['a message', encoded(hello), 1],
    ['a small tensor', tensorMessage({ type: 'sum', generation: 1, step: 2, bucket: 3, offset: 4 }, new Uint8Array(8)).message, 1], // biome-ignore format: a row
  ])('with any bit of %s flipped, its frame included, nothing comes of it', async (_what, message) => {
    const peer = await listening();
    const good = Buffer.concat([maskedFrame(message, [0, 0, 0, 0]), ping(1)]);
    const untouched = await outcome(peer, good);
    expect([untouched.messages.length, untouched.reason.kind]).toEqual([1, 'lost']);
    const lost: number[] = [];
    for (let bit = 0; bit < (good.length - ping(1).length) * 8; bit++) {
      const bytes = Buffer.from(good);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      const { messages, reason } = await outcome(peer, bytes);
      expect(messages, `bit ${bit}`).toEqual([]);
      if (reason.kind === 'lost') lost.push(bit);
      else expect(['corrupt', 'tooLarge'], `bit ${bit}`).toContain(codeOf(reason));
    }
    // The frame waits for more bytes than there are: its length grew.
    for (const bit of lost) expect(bit >> 3).toBe(1);
  });

  it('is told by the ping where it did not come at all, or came twice', async () => {
    const peer = await listening();
    const frame = maskedFrame(encoded(hello), [0, 0, 0, 0]);
    for (const bytes of [ping(1), Buffer.concat([frame, ping(0)]), Buffer.concat([frame, ping(2)])])
      expect(codeOf((await outcome(peer, bytes)).reason)).toBe('corrupt');
    const twice = await outcome(peer, Buffer.concat([frame, frame]));
    expect([twice.messages, codeOf(twice.reason)]).toEqual([[hello], 'corrupt']);
  });
});

interface Fault {
  /** Byte of the stream behind the upgrade. */
  readonly at: number;
  readonly kind: 'flip' | 'drop' | 'insert';
  readonly value: number;
}

/** Between a client and `port`: hands on all bytes but for one fault on the way there. */
async function faultyWire(port: number, fault: Fault): Promise<number> {
  const server = createServer((from) => {
    const to = dialRaw(port, '127.0.0.1');
    const both: readonly Socket[] = [from, to];
    for (const socket of both) socket.setNoDelay(true).on('error', () => undefined);
    to.on('data', (bytes) => from.write(bytes));
    to.on('close', () => from.destroy());
    from.on('close', () => to.end());
    let seen = -1;
    from.on('data', (bytes: Buffer) => {
      // The first that comes is the request of the upgrade, whole: nothing follows before its answer.
      const at = seen < 0 ? -1 : fault.at - seen;
      seen = seen < 0 ? 0 : seen + bytes.length;
      to.write(at >= 0 && at < bytes.length ? hit(bytes, at, fault) : bytes);
    });
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  cleanUp.push(() => server.close());
  return (server.address() as { port: number }).port;
}

function hit(bytes: Buffer, at: number, { kind, value }: Fault): Buffer {
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at + 1)];
  if (kind === 'drop') return Buffer.concat([before, after]);
  if (kind === 'insert') return Buffer.concat([before, Buffer.of(value), bytes.subarray(at)]);
  return Buffer.concat([before, Buffer.of(bytes[at]! ^ value), after]);
}

describe('a conversation over a faulty wire', () => {
  const tensor = { type: 'partial', generation: 1, step: 1, bucket: 0 } as const;
  const data = (size: number, seed: number): Uint8Array =>
    Uint8Array.from({ length: size }, (_, i) => (i * 31 + seed) & 255);
  const sizes = [20_000, 40, 0, 70_000, 400, 16_400, 8];
  const conversation: readonly Message[] = [
    hello,
    ...sizes.flatMap((size, i): Message[] => [
      { ...tensor, offset: i, data: data(size, i) },
      { type: 'statePiece', generation: 1, step: i, section: 's', offset: i, total: 9, bytes: data(20, i) },
    ]),
  ];
  const expected = conversation.map(hex);

  async function converse(fault: Fault | null): Promise<{ messages: string[]; reason: CloseReason }> {
    const { listener, next } = await listening();
    const heard = next();
    const port = fault === null ? listener.port : await faultyWire(listener.port, fault);
    const connection = await connect({ local: 'peer', host: '127.0.0.1', port, path, role: 'peer', token });
    connection.start({ onMessage: () => undefined, onClose: () => undefined });
    const { messages, reason } = await heard;
    for (const message of conversation) {
      if (message.type === 'partial') {
        const { data: part, ...head } = message;
        connection.sendTensor(head, [part]);
      } else connection.send(message as Parameters<typeof connection.send>[0]);
    }
    connection.close();
    const ended = await reason;
    return { messages: messages.map(hex), reason: ended };
  }

  it('arrives whole over a good one', async () => {
    const { messages, reason } = await converse(null);
    expect([messages, reason.kind]).toEqual([expected, 'remote']);
  });

  it('arrives as far as the fault, and no byte further', async () => {
    const chance = new Chance(7);
    const bytes = conversation.reduce((sum, message) => sum + encoded(message).length, 0);
    const faults = Array.from({ length: 150 }, (): Fault => {
      const kind = chance.pick(['flip', 'flip', 'drop', 'insert'] as const);
      return { at: chance.below(bytes), kind, value: 1 + chance.below(255) };
    });
    const reasons: Record<string, number> = {};
    for (let from = 0; from < faults.length; from += 25) {
      const outcomes = await Promise.all(faults.slice(from, from + 25).map(converse));
      outcomes.forEach(({ messages, reason }, i) => {
        const told = JSON.stringify(faults[from + i]);
        expect(messages, told).toEqual(expected.slice(0, messages.length));
        expect(messages.length, told).toBeLessThan(expected.length);
        expect(reason.kind === 'protocol' && isMisconduct(reason.error.code), told).toBe(false);
        const name = reason.kind === 'protocol' ? reason.error.code : reason.kind;
        reasons[name] = (reasons[name] ?? 0) + 1;
      });
    }
    expect(reasons.corrupt).toBeGreaterThan(faults.length / 2);
    expect(Object.keys(reasons).filter((name) => !['corrupt', 'tooLarge', 'lost'].includes(name))).toEqual(
      [],
    );
  });
});

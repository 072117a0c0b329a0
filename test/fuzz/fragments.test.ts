// Frames at a real Connection over a real socket, one byte at a time: good ones arrive whole and in order, hostile ones end
// their own connection with one ProtocolError, and a bystander on the same listener hears nothing of it.

import type { Socket } from 'node:net';
import fc from 'fast-check';
import { pack } from 'msgpackr';
import { afterEach, expect, it } from 'vitest';
import { type End, type Message, messages, messageTypes } from '../../proto/messages.ts';
import type { CloseReason, Connection } from '../../proto/transport/connection.ts';
import { type Listener, listen } from '../../proto/transport/server.ts';
import { Token } from '../../proto/transport/token.ts';
import type { Role } from '../../proto/version.ts';
import { dialWebSocket, maskedFrame } from '../support/raw-websocket.ts';
import { checksOf, encoded, sealed } from '../support/sealing.ts';
import { messageArbitrary } from '../unit/proto/arbitraries.ts';
import { Chance, mutated } from './mutations.ts';

const token = Token.generate();
const path = '/fuzz';
const cleanUp: (() => unknown)[] = [];
const hostileConnections = 150;
/** Longer ones would only take longer. */
const frameBytesMax = 400;

afterEach(async () => {
  for (const action of cleanUp.splice(0).reverse()) await action();
});

type Received = Message | CloseReason;

/** A listener of this end; `accepted` gives what each of its connections hears, in order of coming. */
async function listening<Local extends End>(
  local: Local,
): Promise<{ listener: Listener; accepted: Received[][] }> {
  const accepted: Received[][] = [];
  const listener = await listen<Local>({
    local,
    port: 0,
    path,
    roles: [local === 'peer' ? 'peer' : 'worker'],
    token,
    onConnection: (connection: Connection<Local>) => {
      const heard: Received[] = [];
      accepted.push(heard);
      connection.start({
        onMessage: (message) => heard.push(message as Message),
        onClose: (reason) => heard.push(reason),
        // As a worker does: large tensors would be taken while they come.
        ...(local === 'peer' ? { openTensor: () => null } : {}),
      });
    },
  });
  cleanUp.push(() => listener.close());
  return { listener, accepted };
}

async function dial(listener: Listener, role: Role): Promise<Socket> {
  const socket = await dialWebSocket({ port: listener.port, path, role, token }, drip);
  cleanUp.push(() => socket.destroy());
  return socket;
}

/** One byte a write, and a turn of the event loop after each, in which the other end reads it. */
async function drip(socket: Socket, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length && !socket.destroyed; at++) {
    await new Promise<void>((resolve) => {
      socket.write(bytes.subarray(at, at + 1), () => setImmediate(resolve));
    });
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

it.each(['coordinator', 'peer'] as const)('good messages to a %s, byte by byte', async (local) => {
  const directions = local === 'peer' ? ['peer', 'any'] : ['up', 'either', 'any'];
  const types = messageTypes.filter((type) => directions.includes(messages[type].direction));
  const sent = types.flatMap((type) => fc.sample(messageArbitrary(type), { numRuns: 2, seed: 3 }));
  const { listener, accepted } = await listening(local);
  const socket = await dial(listener, local === 'peer' ? 'peer' : 'worker');
  const chance = new Chance(4);
  const checks = checksOf();
  for (const message of sent) {
    const key = chance.below(2) === 0 ? [0, 0, 0, 0] : [1, 2, 3, 4].map(() => chance.below(256));
    await drip(socket, maskedFrame(encoded(message, checks), key));
  }
  await until(() => accepted[0]!.length >= sent.length);
  const packed = accepted[0]!.map((message) => Buffer.from(encoded(message as Message)).toString('hex'));
  expect(packed).toEqual(sent.map((message) => Buffer.from(encoded(message)).toString('hex')));
});

it.each(['coordinator', 'peer'] as const)(
  `${hostileConnections} connections with hostile frames to a %s, byte by byte, and a bystander`,
  async (local) => {
    const role = local === 'peer' ? 'peer' : 'worker';
    const good: Message =
      local === 'peer'
        ? { type: 'peerHello', runId: 'r', generation: 1, rank: 1 }
        : { type: 'ready', generation: 1, digest: 0 };
    const bases = messageTypes.flatMap((type) =>
      fc
        .sample(messageArbitrary(type), { numRuns: 2, seed: 5 })
        .map((message) => ({ message, bytes: pack(message) })),
    );
    const { listener, accepted } = await listening(local);
    const bystander = await dial(listener, role);
    const chance = new Chance(6);
    const attack = async (): Promise<Socket> => {
      const socket = await dial(listener, role);
      const bytes = mutated(chance.pick(bases), chance.pick(bases), chance).subarray(0, frameBytesMax);
      const payload = chance.below(4) === 0 ? bytes : sealed(bytes);
      const key = [1, 2, 3, 4].map(() => chance.below(256));
      const frame = maskedFrame(payload, key);
      // The frame's own head is changed as well, in one of four.
      if (chance.below(4) === 0) frame[chance.below(8)] = chance.below(256);
      await drip(socket, frame);
      return socket;
    };
    const atOnce = 15;
    for (let done = 0; done < hostileConnections; done += atOnce) {
      const sockets = await Promise.all(Array.from({ length: atOnce }, attack));
      await turn();
      for (const socket of sockets) socket.destroy();
    }
    await drip(bystander, maskedFrame(encoded(good), [9, 8, 7, 6]));
    await until(() => accepted[0]!.length > 0);
    expect(accepted[0]).toEqual([good]);
    expect(accepted).toHaveLength(hostileConnections + 1);
    await until(() => accepted.slice(1).every((heard) => 'kind' in (heard.at(-1) ?? {})));
    const ends = accepted.slice(1).map((heard) => heard.at(-1) as CloseReason);
    expect(ends.filter(({ kind }) => kind === 'protocol').length).toBeGreaterThan(hostileConnections / 2);
    for (const end of ends) expect(['protocol', 'lost', 'remote']).toContain(end.kind);
  },
);

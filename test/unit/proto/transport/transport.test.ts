// Real sockets on loopback: who is let in, what travels, and what bad bytes do (end one connection, nothing else).

import { once } from 'node:events';
import { connect as dialRaw } from 'node:net';
import { inspect } from 'node:util';
import { pack } from 'msgpackr';
import { afterEach, describe, expect, it } from 'vitest';
import type { WebSocket } from 'ws';
import { ProtocolError } from '../../../../proto/error.ts';
import { limits } from '../../../../proto/limits.ts';
import type { Message } from '../../../../proto/messages.ts';
import { connect } from '../../../../proto/transport/client.ts';
import type { CloseReason, Connection } from '../../../../proto/transport/connection.ts';
import type { Request } from '../../../../proto/transport/handshake.ts';
import { closeText } from '../../../../proto/transport/link.ts';
import { isLoopback } from '../../../../proto/transport/loopback.ts';
import { type Listener, type ListenOptions, listen } from '../../../../proto/transport/server.ts';
import { Token } from '../../../../proto/transport/token.ts';
import { coordinatorPath } from '../../../../proto/version.ts';
import {
  dialWebSocket,
  foreignWebSocket,
  parseAnswer,
  requestTo,
  upgradeText,
} from '../../../support/raw-websocket.ts';
import { sealed, sealedValue } from '../../../support/sealing.ts';

const token = Token.generate();
const cleanUp: (() => unknown)[] = [];

afterEach(async () => {
  for (const action of cleanUp.splice(0).reverse()) await action();
});

/** What one end saw. */
class Seen {
  readonly messages: Message[] = [];
  readonly reasons: CloseReason[] = [];
  #wake: () => void = () => {};

  onMessage(message: Message): void {
    this.messages.push(message);
    this.#wake();
  }

  onClose(reason: CloseReason): void {
    this.reasons.push(reason);
    this.#wake();
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition())
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
  }

  async closed(): Promise<CloseReason> {
    await this.until(() => this.reasons.length > 0);
    return this.reasons[0]!;
  }
}

/** By listener: how often it let somebody in, and who waits for the next. */
const admissions = new WeakMap<Listener, { count: number; wake: () => void }>();

/** Resolves when the listener has let in one more than it had at the call: a dialler may be through before. */
function admission(listener: Listener): () => Promise<void> {
  const state = admissions.get(listener)!;
  const before = state.count;
  return async () => {
    while (state.count === before)
      await new Promise<void>((resolve) => {
        state.wake = resolve;
      });
  };
}

async function coordinator(
  options: Partial<ListenOptions<'coordinator'>> = {},
): Promise<{ listener: Listener; accepted: Connection<'coordinator'>[]; seen: Seen[] }> {
  const accepted: Connection<'coordinator'>[] = [];
  const seen: Seen[] = [];
  const state = { count: 0, wake: () => {} };
  const listener = await listen<'coordinator'>({
    local: 'coordinator',
    port: 0,
    path: coordinatorPath,
    roles: ['worker', 'observer'],
    token,
    onConnection(connection) {
      const own = new Seen();
      seen.push(own);
      accepted.push(connection);
      connection.start(own);
      state.count += 1;
      state.wake();
    },
    ...options,
  });
  admissions.set(listener, state);
  cleanUp.push(() => listener.close());
  return { listener, accepted, seen };
}

async function worker(listener: Listener): Promise<{ connection: Connection<'worker'>; seen: Seen }> {
  const admitted = admission(listener);
  const connection = await connect({
    local: 'worker',
    host: '127.0.0.1',
    port: listener.port,
    path: coordinatorPath,
    role: 'worker',
    token,
  });
  await admitted();
  cleanUp.push(() => connection.destroy());
  const seen = new Seen();
  connection.start(seen);
  return { connection, seen };
}

/** A client that is not ours, to send what ours would not. */
async function foreign(listener: Listener): Promise<WebSocket> {
  const admitted = admission(listener);
  const door = { port: listener.port, path: coordinatorPath, role: 'worker', token } as const;
  const socket = await foreignWebSocket(door);
  await admitted();
  cleanUp.push(() => socket.terminate());
  return socket;
}

async function protocolError(promise: Promise<unknown>): Promise<ProtocolError> {
  const error: unknown = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ProtocolError);
  return error as ProtocolError;
}

describe('the upgrade', () => {
  const status = async (
    port: number,
    other: Partial<Request>,
    headers: Record<string, string> = {},
  ): Promise<number> => {
    const socket = dialRaw(port, '127.0.0.1');
    cleanUp.push(() => socket.destroy());
    socket.write(upgradeText(requestTo({ path: coordinatorPath, role: 'worker' }, other), headers));
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    return parseAnswer(bytes).status;
  };

  it('answers who asks with a role and our version, and lets in who has the token', async () => {
    const { listener, accepted } = await coordinator();
    expect(await status(listener.port, {})).toBe(101);
    expect(accepted).toHaveLength(0);
    const { connection, seen } = await worker(listener);
    connection.close();
    await seen.closed();
    expect(accepted).toHaveLength(1);
  });

  it.each<[string, Partial<Request>, Record<string, string>, number]>([
    ['no nonce', { nonce: '' }, {}, 400],
    ['a short nonce', { nonce: 'abcd' }, {}, 400],
    ['a role that has no place', { role: 'peer' }, {}, 403],
    ['a role that is not known', { role: 'owner' }, {}, 403],
    ['no role', { role: '' }, {}, 403],
    ['an origin', {}, { origin: 'http://127.0.0.1' }, 403],
    ['another version', { version: '999' }, {}, 426],
    ['another path', { path: '/other' }, {}, 404],
    ['another run', { run: 'b' }, {}, 409],
    ['an unsound key', {}, { 'sec-websocket-key': 'short' }, 400],
    ['another version of WebSockets', {}, { 'sec-websocket-version': '8' }, 400],
    ['no upgrade', {}, { upgrade: 'h2c' }, 400],
  ])('refuses %s', async (_what, other, headers, expected) => {
    const { listener, accepted } = await coordinator({ run: () => 'a' });
    expect(await status(listener.port, other, headers)).toBe(expected);
    expect(accepted).toHaveLength(0);
  });

  it('says 404 to a plain request', async () => {
    const { listener } = await coordinator();
    const response = await fetch(`http://127.0.0.1:${listener.port}/`);
    expect(response.status).toBe(404);
  });

  it('tells the client why, where both have the token', async () => {
    const { listener } = await coordinator();
    const base = { local: 'worker', host: '127.0.0.1', port: listener.port, path: coordinatorPath } as const;
    const wrong = await protocolError(connect({ ...base, role: 'worker', token: Token.generate() }));
    expect([wrong.code, wrong.status]).toEqual(['unproved', 101]);
    expect(wrong.message).toContain('token');
    const neither = await protocolError(connect({ ...base, role: 'admin', token: Token.generate() }));
    expect([neither.code, neither.status]).toEqual(['unproved', 403]);
    const role = await protocolError(connect({ ...base, role: 'admin', token }));
    expect([role.code, role.status]).toEqual(['refused', 403]);
    const path = await protocolError(connect({ ...base, path: '/other', role: 'worker', token }));
    expect([path.code, path.status]).toEqual(['refused', 404]);
    await listener.close();
    const gone = await protocolError(connect({ ...base, role: 'worker', token }));
    expect(gone.code).toBe('unreachable');
  });

  it('does not go over a network in clear, unless this is wanted', async () => {
    const base = { local: 'worker', host: '192.0.2.1', port: 9, path: '/', role: 'worker', token } as const;
    const abort = AbortSignal.abort();
    expect((await protocolError(connect({ ...base, signal: abort }))).code).toBe('insecure');
    for (const allowed of [{ insecure: true }, { tls: {} }]) {
      expect((await protocolError(connect({ ...base, ...allowed, signal: abort }))).code).toBe('unreachable');
    }
  });

  it('gives up dialling one who never answers, and when told to', async () => {
    const { createServer } = await import('node:net');
    const mute = createServer(() => {}).listen(0, '127.0.0.1');
    await new Promise((resolve) => mute.once('listening', resolve));
    cleanUp.push(() => mute.close());
    const { port } = mute.address() as { port: number };
    const base = { local: 'worker', host: '127.0.0.1', port, path: '/', role: 'worker', token } as const;
    expect((await protocolError(connect({ ...base, timeoutMs: 50 }))).code).toBe('timeout');
    const abort = new AbortController();
    const dialling = connect({ ...base, signal: abort.signal });
    abort.abort();
    expect((await protocolError(dialling)).code).toBe('unreachable');
  });
});

describe('listening', () => {
  it('says that a port is in use', async () => {
    const { listener } = await coordinator();
    const error = await protocolError(coordinator({ port: listener.port }));
    expect(error.code).toBe('portInUse');
    expect(error.message).toContain(String(listener.port));
  });

  it('goes beyond loopback only with TLS or when told to', async () => {
    expect((await protocolError(coordinator({ host: '0.0.0.0' }))).code).toBe('insecure');
    await coordinator({ host: '0.0.0.0', insecure: true });
    expect(
      ['localhost', '127.0.0.1', '127.8.0.1', '::1', '[::1]', '::ffff:127.0.0.1'].every(isLoopback),
    ).toBe(true);
    expect(['0.0.0.0', '::', '10.0.0.1', '::ffff:10.0.0.1', '127.0.0.1.example.com'].some(isLoopback)).toBe(
      false,
    );
  });
});

describe('a connection', () => {
  it('carries messages both ways, checked and in order', async () => {
    const { listener, accepted, seen } = await coordinator();
    const { connection, seen: atWorker } = await worker(listener);
    connection.send({ type: 'ready', generation: 1, digest: 0 });
    connection.send({ type: 'finished', generation: 1, step: 2, weightsSha256: 'a'.repeat(64) });
    await seen[0]!.until(() => seen[0]!.messages.length === 2);
    expect(seen[0]!.messages).toEqual([
      { type: 'ready', generation: 1, digest: 0 },
      { type: 'finished', generation: 1, step: 2, weightsSha256: 'a'.repeat(64) },
    ]);
    accepted[0]!.send({ type: 'start', generation: 7 });
    await atWorker.until(() => atWorker.messages.length === 1);
    expect(atWorker.messages).toEqual([{ type: 'start', generation: 7 }]);
  });

  it('waits when much is on its way', async () => {
    const { listener, accepted } = await coordinator();
    const { seen } = await worker(listener);
    const pieces = 40;
    const bytes = new Uint8Array(limits.pieceBytesMax);
    for (let i = 0; i < pieces; i++) {
      accepted[0]!.send({ type: 'dataPiece', part: 'trainInputs', offset: i * bytes.length, bytes });
      await accepted[0]!.drained();
    }
    await seen.until(() => seen.messages.length === pieces);
    const last = seen.messages.at(-1) as Message & { type: 'dataPiece' };
    expect(last.offset).toBe((pieces - 1) * bytes.length);
    expect(last.bytes.length).toBe(bytes.length);
  });

  it('ends in order, once, on both sides', async () => {
    const { listener, accepted, seen } = await coordinator();
    const { connection, seen: atWorker } = await worker(listener);
    connection.send({ type: 'ready', generation: 3, digest: 0 });
    connection.close(1000, 'enough');
    expect(await atWorker.closed()).toEqual({ kind: 'local' });
    expect(await seen[0]!.closed()).toEqual({ kind: 'remote', code: 1000, text: 'enough' });
    expect(seen[0]!.messages).toHaveLength(1);
    expect(accepted[0]!.send({ type: 'done', step: 1, stopped: false })).toBe(false);
    expect(connection.isOpen).toBe(false);
  });

  it('reports a connection that broke', async () => {
    const { listener, seen } = await coordinator();
    const { connection } = await worker(listener);
    connection.destroy();
    expect((await seen[0]!.closed()).kind).toBe('lost');
  });

  it.each([
    ['garbage', Buffer.from('garbage'), 'corrupt'],
    ['nothing', Buffer.alloc(0), 'corrupt'],
    ['a message without its seal', pack({ type: 'ready', generation: 1, digest: 0 }), 'corrupt'],
    ['sealed garbage', sealed(Buffer.from('garbage')), 'malformed'],
    [
      'a message of the other direction',
      sealedValue({ type: 'done', step: 1, stopped: false }),
      'unexpected',
    ],
    ['an unknown message', sealedValue({ type: 'abc' }), 'unknownType'],
  ])('ends alone on %s', async (_what, bytes, code) => {
    const { listener, seen } = await coordinator();
    const good = await worker(listener);
    const bad = await foreign(listener);
    const closed = new Promise<number>((resolve) => bad.on('close', resolve));
    bad.send(bytes);
    bad.send(bytes);
    expect(await closed).toBe(1002);
    const reason = await seen[1]!.closed();
    expect(reason.kind === 'protocol' && reason.error.code).toBe(code);
    expect(seen[1]!.reasons).toHaveLength(1);
    good.connection.send({ type: 'ready', generation: 2, digest: 0 });
    await seen[0]!.until(() => seen[0]!.messages.length === 1);
    expect(seen[0]!.reasons).toHaveLength(0);
  });

  it('ends alone on a frame too large, by the length it announces', async () => {
    const { listener, seen } = await coordinator();
    const bad = await foreign(listener);
    bad.send(Buffer.alloc(limits.workerFrameBytesMax + 1));
    const reason = await seen[0]!.closed();
    expect(reason.kind === 'protocol' && reason.error.code).toBe('tooLarge');
  });

  it('tells the other end what was wrong, in as much as there is room for', async () => {
    const { listener, accepted, seen } = await coordinator();
    const one = await worker(listener);
    one.connection.send({ type: 'leave', more: 1 } as never);
    expect(closeText(await one.seen.closed())).toBe(
      'it refused what it was sent: invalid: message leave has an unknown key',
    );
    expect(closeText(await seen[0]!.closed())).toBe(
      'it sent what it must not: message leave has an unknown key',
    );
    const another = await worker(listener);
    accepted[1]!.refuse(new ProtocolError('size', 'ü'.repeat(500)));
    const text = `size: ${'?'.repeat(117)}`;
    expect(await another.seen.closed()).toEqual({ kind: 'remote', code: 1002, text });
  });

  it('ends alone on text and on bytes that are no frame', async () => {
    const { listener, seen } = await coordinator();
    const text = await foreign(listener);
    text.send('{}');
    const first = await seen[0]!.closed();
    expect(first.kind === 'protocol' && first.error.code).toBe('corrupt');
    const admitted = admission(listener);
    const raw = await dialWebSocket({ port: listener.port, path: coordinatorPath, role: 'worker', token });
    cleanUp.push(() => raw.destroy());
    await admitted();
    raw.write(Buffer.alloc(64, 0xff));
    const second = await seen[1]!.closed();
    expect(second.kind === 'protocol' && second.error.code).toBe('corrupt');
  });

  it('sends tensors from shared memory as they are, large and small, both ways', async () => {
    const there: Connection<'peer'>[] = [];
    const seen = new Seen();
    let arrived = (): void => {};
    const arrival = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const listener = await listen<'peer'>({
      local: 'peer',
      port: 0,
      path: '/p',
      roles: ['peer'],
      token,
      onConnection(connection) {
        there.push(connection);
        connection.start(seen);
        arrived();
      },
    });
    cleanUp.push(() => listener.close());
    const here = await connect({
      local: 'peer',
      host: '127.0.0.1',
      port: listener.port,
      path: '/p',
      role: 'peer',
      token,
    });
    const atHere = new Seen();
    here.start(atHere);
    await arrival;
    const arena = new Uint8Array(new SharedArrayBuffer(1 << 21));
    for (let i = 0; i < arena.length; i++) arena[i] = (i * 7 + (i >>> 8)) & 255;
    const sizes = [0, 4, 100, 200, 16_384, 65_500, 65_536, 1 << 20];
    sizes.forEach((size, offset) => {
      const parts = [
        arena.subarray(0, size / 2 - ((size / 2) % 4)),
        arena.subarray(size / 2 - ((size / 2) % 4), size),
      ];
      here.sendTensor({ type: 'sum', generation: 1, step: 2, bucket: 3, offset }, parts);
      there[0]!.sendTensor({ type: 'sum', generation: 1, step: 2, bucket: 3, offset }, parts);
    });
    for (const end of [seen, atHere]) {
      await end.until(() => end.messages.length === sizes.length);
      end.messages.forEach((message, i) => {
        const { data, offset } = message as Message & { type: 'sum' };
        expect(offset).toBe(i);
        expect(Buffer.compare(data, Buffer.from(arena.slice(0, sizes[i])))).toBe(0);
      });
      expect(end.reasons).toHaveLength(0);
    }
  });
});

describe('a token', () => {
  it('is 256 bits and does not show', () => {
    expect(token.reveal()).toMatch(/^[0-9a-f]{64}$/);
    expect(token.key).toHaveLength(32);
    expect([`${token}`, JSON.stringify({ token }), inspect({ token })].join()).not.toContain(token.reveal());
  });

  it('is read from the environment or a file, and refused where it is none', () => {
    expect(Token.read({ environment: {} })).toBeNull();
    expect(Token.read({ environment: { LOCKSTEP_TOKEN: `${token.reveal()}\n` } })?.reveal()).toBe(
      token.reveal(),
    );
    expect(() => Token.read({ environment: { LOCKSTEP_TOKEN: 'secret' } })).toThrow(
      /LOCKSTEP_TOKEN must be 64/,
    );
    expect(() => Token.read({ file: '/nonexistent/token', environment: {} })).toThrow(/cannot read/);
  });
});

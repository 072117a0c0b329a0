// Real sockets on loopback: who is let in, what travels, and what bad bytes do (end one connection, nothing else).

import { request } from 'node:http';
import { connect as dialRaw } from 'node:net';
import { inspect } from 'node:util';
import { pack } from 'msgpackr';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { ProtocolError } from '../../../../proto/error.ts';
import { limits } from '../../../../proto/limits.ts';
import type { Message } from '../../../../proto/messages.ts';
import { connect } from '../../../../proto/transport/client.ts';
import type { CloseReason, Connection } from '../../../../proto/transport/connection.ts';
import { closeText } from '../../../../proto/transport/link.ts';
import { isLoopback } from '../../../../proto/transport/loopback.ts';
import { type Listener, type ListenOptions, listen } from '../../../../proto/transport/server.ts';
import { Token } from '../../../../proto/transport/token.ts';
import { coordinatorPath, protocolVersion, roleHeader, versionHeader } from '../../../../proto/version.ts';
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

async function coordinator(
  options: Partial<ListenOptions<'coordinator'>> = {},
): Promise<{ listener: Listener; accepted: Connection<'coordinator'>[]; seen: Seen[] }> {
  const accepted: Connection<'coordinator'>[] = [];
  const seen: Seen[] = [];
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
    },
    ...options,
  });
  cleanUp.push(() => listener.close());
  return { listener, accepted, seen };
}

async function worker(listener: Listener): Promise<{ connection: Connection<'worker'>; seen: Seen }> {
  const connection = await connect({
    local: 'worker',
    host: '127.0.0.1',
    port: listener.port,
    path: coordinatorPath,
    role: 'worker',
    token,
  });
  cleanUp.push(() => connection.destroy());
  const seen = new Seen();
  connection.start(seen);
  return { connection, seen };
}

/** A client that is not ours, to send what ours would not. */
function foreign(listener: Listener): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${listener.port}${coordinatorPath}`, {
    headers: {
      authorization: token.authorization,
      [roleHeader]: 'worker',
      [versionHeader]: String(protocolVersion),
    },
    perMessageDeflate: false,
  });
  cleanUp.push(() => socket.terminate());
  return new Promise((resolve) => {
    socket.on('error', () => {});
    socket.on('open', () => resolve(socket));
  });
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
  const status = (port: number, headers: Record<string, string>, path = coordinatorPath): Promise<number> =>
    new Promise((resolve, reject) => {
      const attempt = request({
        host: '127.0.0.1',
        port,
        path,
        headers: {
          connection: 'Upgrade',
          upgrade: 'websocket',
          'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
          'sec-websocket-version': '13',
          authorization: token.authorization,
          [roleHeader]: 'worker',
          [versionHeader]: String(protocolVersion),
          ...headers,
        },
      });
      attempt.on('response', (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      attempt.on('upgrade', (response, socket) => {
        socket.destroy();
        resolve(response.statusCode ?? 0);
      });
      attempt.on('error', reject);
      attempt.end();
    });

  it('lets in who has the token, a role and our version', async () => {
    const { listener } = await coordinator();
    expect(await status(listener.port, {})).toBe(101);
  });

  it.each([
    ['no token', { authorization: '' }, 401],
    ['a wrong token', { authorization: Token.generate().authorization }, 401],
    ['the token without its scheme', { authorization: token.reveal() }, 401],
    ['a token cut short', { authorization: token.authorization.slice(0, -1) }, 401],
    ['a role that has no place', { [roleHeader]: 'peer' }, 403],
    ['a role that is not known', { [roleHeader]: 'owner' }, 403],
    ['no role', { [roleHeader]: '' }, 403],
    ['an origin', { origin: 'http://127.0.0.1' }, 403],
    ['another version', { [versionHeader]: '999' }, 426],
    ['an unsound key', { 'sec-websocket-key': 'short' }, 400],
  ])('refuses %s', async (_what, headers, expected) => {
    const { listener, accepted } = await coordinator();
    expect(await status(listener.port, headers as Record<string, string>)).toBe(expected);
    expect(accepted).toHaveLength(0);
  });

  it('refuses another path, and says 404 to a plain request', async () => {
    const { listener } = await coordinator();
    expect(await status(listener.port, {}, '/other')).toBe(404);
    const response = await fetch(`http://127.0.0.1:${listener.port}/`);
    expect(response.status).toBe(404);
  });

  it('tells the client why', async () => {
    const { listener } = await coordinator();
    const base = { local: 'worker', host: '127.0.0.1', port: listener.port, path: coordinatorPath } as const;
    const wrong = await protocolError(connect({ ...base, role: 'worker', token: Token.generate() }));
    expect([wrong.code, wrong.status]).toEqual(['refused', 401]);
    expect(wrong.message).toContain('token');
    const role = await protocolError(connect({ ...base, role: 'admin', token }));
    expect([role.code, role.status]).toEqual(['refused', 403]);
    const path = await protocolError(connect({ ...base, path: '/other', role: 'worker', token }));
    expect([path.code, path.status]).toEqual(['refused', 404]);
    await listener.close();
    const gone = await protocolError(connect({ ...base, role: 'worker', token }));
    expect(gone.code).toBe('unreachable');
  });

  it('does not tell the token over a network in clear, unless this is wanted', async () => {
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
    const raw = dialRaw(listener.port, '127.0.0.1');
    cleanUp.push(() => raw.destroy());
    raw.on('error', () => {});
    raw.write(
      [
        `GET ${coordinatorPath} HTTP/1.1`,
        'host: x',
        'connection: Upgrade',
        'upgrade: websocket',
        'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
        'sec-websocket-version: 13',
        `authorization: ${token.authorization}`,
        `${roleHeader}: worker`,
        `${versionHeader}: ${protocolVersion}`,
        '',
        '',
      ].join('\r\n'),
    );
    await new Promise((resolve) => raw.once('data', resolve));
    raw.write(Buffer.alloc(64, 0xff));
    const second = await seen[1]!.closed();
    expect(second.kind === 'protocol' && second.error.code).toBe('corrupt');
  });

  it('sends tensors from shared memory as they are, large and small, both ways', async () => {
    const there: Connection<'peer'>[] = [];
    const seen = new Seen();
    const listener = await listen<'peer'>({
      local: 'peer',
      port: 0,
      path: '/p',
      roles: ['peer'],
      token,
      onConnection(connection) {
        there.push(connection);
        connection.start(seen);
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
  it('is 256 bits, matches itself alone and does not show', () => {
    expect(token.reveal()).toMatch(/^[0-9a-f]{64}$/);
    expect(token.matches(token.authorization)).toBe(true);
    expect(token.matches(undefined)).toBe(false);
    expect(token.matches(`Bearer ${Token.generate().reveal()}`)).toBe(false);
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

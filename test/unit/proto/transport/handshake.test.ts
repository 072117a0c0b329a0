// Both ends prove that they have the token: what is proved to whom, that nothing recorded or sent back proves anything, and that
// no request, however it is changed, gets further than its connection.

import { once } from 'node:events';
import { createServer, connect as dialRaw, type Server, type Socket } from 'node:net';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { ProtocolError } from '../../../../proto/error.ts';
import { connect } from '../../../../proto/transport/client.ts';
import {
  diallerProof,
  diallerProofFrameBytes,
  isDiallerProof,
  newNonce,
  newResponse,
  provenResponse,
  type Request,
  type Response,
  responseHeaders,
} from '../../../../proto/transport/handshake.ts';
import { type Listener, listen } from '../../../../proto/transport/server.ts';
import { Token } from '../../../../proto/transport/token.ts';
import { coordinatorPath, peerPath, proofHeader, protocolVersion } from '../../../../proto/version.ts';
import { maskedFrame, parseAnswer, requestTo, upgradeText } from '../../../support/raw-websocket.ts';

const token = Token.generate();
const worker = { path: coordinatorPath, role: 'worker' } as const;
const cleanUp: (() => unknown)[] = [];

afterEach(async () => {
  for (const action of cleanUp.splice(0).reverse()) await action();
});

const frameOf = (proof: Uint8Array): Buffer => maskedFrame(proof, [0, 0, 0, 0]);

describe('a proof', () => {
  const request = requestTo(worker);
  const response = newResponse(101);

  it('is believed by who has the token and heard the same', () => {
    const headers = responseHeaders(token, request, response);
    expect(provenResponse(token, request, 101, headers)).toEqual(response);
    const frame = frameOf(diallerProof(token, request, response));
    expect(frame).toHaveLength(diallerProofFrameBytes);
    expect(isDiallerProof(frame, token, request, response)).toBe(true);
  });

  const text = fc.string({ maxLength: 20 });
  const otherRequest: fc.Arbitrary<Partial<Request>> = fc.oneof(
    fc.constantFrom<Partial<Request>>({ path: peerPath }, { role: 'peer' }, { version: '3' }, { run: 'b' }),
    fc.constant({}).map(() => ({ nonce: newNonce() })),
    fc.record({ path: text, role: text, run: text, version: text, nonce: text }),
  );
  const otherResponse: fc.Arbitrary<Partial<Response>> = fc.oneof(
    fc.constantFrom<Partial<Response>>({ status: 426 }, { version: String(protocolVersion + 1) }),
    fc.constant({}).map(() => ({ nonce: newNonce() })),
  );

  it('is none with another token, or of anything else that was said, by either end', () => {
    const headers = responseHeaders(token, request, response);
    const frame = frameOf(diallerProof(token, request, response));
    const stranger = Token.generate();
    expect(provenResponse(stranger, request, 101, headers)).toBeNull();
    expect(isDiallerProof(frame, stranger, request, response)).toBe(false);
    fc.assert(
      fc.property(otherRequest, (other) => {
        const changed = { ...request, ...other };
        expect(provenResponse(token, changed, 101, headers)).toBeNull();
        expect(isDiallerProof(frame, token, changed, response)).toBe(false);
      }),
    );
    fc.assert(
      fc.property(otherResponse, (other) => {
        const changed = { ...response, ...other };
        const { [proofHeader]: proof = '', ...said } = responseHeaders(stranger, request, changed);
        expect(proof).not.toBe('');
        const replayed = { ...said, [proofHeader]: headers[proofHeader] };
        expect(provenResponse(token, request, changed.status, replayed)).toBeNull();
        expect(isDiallerProof(frame, token, request, changed)).toBe(false);
      }),
    );
  });

  it('of a listener is none of a dialler: sent back it proves nothing', () => {
    const reflected = Buffer.from(responseHeaders(token, request, response)[proofHeader]!, 'hex');
    expect(isDiallerProof(frameOf(reflected), token, request, response)).toBe(false);
    const own = diallerProof(token, request, response).toString('hex');
    const headers = { ...responseHeaders(token, request, response), [proofHeader]: own };
    expect(provenResponse(token, request, 101, headers)).toBeNull();
  });

  it('is none where a text runs over into the next', () => {
    const shifted = { ...request, role: 'work', run: 'er' };
    const before = { ...request, role: 'worker', run: '' };
    const headers = responseHeaders(token, before, response);
    expect(provenResponse(token, shifted, 101, headers)).toBeNull();
  });
});

async function coordinator(): Promise<{ listener: Listener; admitted: () => number }> {
  let admitted = 0;
  const listener = await listen<'coordinator'>({
    ...{ local: 'coordinator', port: 0, path: coordinatorPath, roles: ['worker'], token },
    onConnection: () => {
      admitted += 1;
    },
  });
  cleanUp.push(() => listener.close());
  return { listener, admitted: () => admitted };
}

async function rawTo(port: number): Promise<Socket> {
  const socket = dialRaw(port, '127.0.0.1');
  socket.on('error', () => undefined);
  cleanUp.push(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** Everything that came until the end, with `said` sent at the start and `then` after the first answer. */
async function conversation(port: number, said: Uint8Array, then: Uint8Array | null): Promise<Buffer> {
  const socket = await rawTo(port);
  const heard: Buffer[] = [];
  const closed = once(socket, 'close');
  socket.on('data', (bytes: Buffer) => {
    heard.push(bytes);
    if (heard.length === 1 && then !== null) socket.write(then);
  });
  socket.write(said);
  if (then === null) socket.end();
  await closed;
  return Buffer.concat(heard);
}

describe('a listener', () => {
  it('does not take a recorded handshake a second time', async () => {
    const { listener, admitted } = await coordinator();
    const request = requestTo(worker);
    const first = await rawTo(listener.port);
    first.write(upgradeText(request));
    const [bytes] = (await once(first, 'data')) as [Buffer];
    const { status, headers } = parseAnswer(bytes);
    const response = provenResponse(token, request, status, headers)!;
    const frame = frameOf(diallerProof(token, request, response));
    first.write(frame);
    while (admitted() === 0) await new Promise((resolve) => setImmediate(resolve));
    await conversation(listener.port, Buffer.from(upgradeText(request)), frame);
    expect(admitted()).toBe(1);
  });

  it('lets nobody in for a request that was changed, and says no more than one answer', async () => {
    const { listener, admitted } = await coordinator();
    const good = Buffer.from(upgradeText(requestTo(worker)));
    const change = fc.record({
      at: fc.nat(good.length),
      bytes: fc.uint8Array({ maxLength: 5 }),
      cut: fc.nat(9),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(change, { minLength: 1, maxLength: 6 }),
        fc.uint8Array({ maxLength: 60 }),
        async (changes, proof) => {
          const request = changes.reduce(
            (bytes, { at, bytes: put, cut }) =>
              Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + cut)]),
            good,
          );
          const then = Buffer.concat([proof, Buffer.alloc(diallerProofFrameBytes)]);
          const heard = await conversation(
            listener.port,
            Buffer.concat([request, Buffer.from('\r\n\r\n')]),
            then,
          );
          expect(heard.toString('latin1').match(/HTTP\/1\.1/g)?.length ?? 0).toBeLessThanOrEqual(1);
        },
      ),
      { numRuns: 300 },
    );
    expect(admitted()).toBe(0);
  });
});

/** A program that took the port: it answers every request with these bytes. */
async function squatter(answer: string | ((request: string) => string)): Promise<number> {
  const server: Server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      socket.write(typeof answer === 'string' ? answer : answer(bytes.toString('latin1')));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUp.push(() => server.close());
  return (server.address() as { port: number }).port;
}

const accept = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';
const hex = 'ab'.repeat(32);

describe('a dialler', () => {
  it.each([
    ['a refusal', 'HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n', 401],
    ['a refusal that would be final', 'HTTP/1.1 426 Upgrade Required\r\ncontent-length: 0\r\n\r\n', 426],
    ['a page', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi', 200],
    [
      'an upgrade without a proof',
      `HTTP/1.1 101 x\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
      101,
    ],
    [
      'an upgrade with a proof that it made up',
      `HTTP/1.1 101 x\r\nupgrade: websocket\r\nconnection: upgrade\r\nx-lockstep-protocol: 4\r\nx-lockstep-nonce: ${hex}\r\nx-lockstep-proof: ${hex}\r\n\r\n`,
      101,
    ],
  ])('believes none without the token: %s', async (_what, answer, status) => {
    const port = await squatter(answer);
    const error = await connect({ local: 'worker', host: '127.0.0.1', port, ...worker, token }).then(
      () => null,
      (thrown: unknown) => thrown as ProtocolError,
    );
    expect(error).toBeInstanceOf(ProtocolError);
    expect([error!.code, error!.status]).toEqual(['unproved', status]);
  });

  it('says nothing to it by which it could be taken for one with the token', async () => {
    const said: string[] = [];
    const port = await squatter((request) => {
      said.push(request);
      return `HTTP/1.1 101 x\r\nupgrade: websocket\r\nconnection: upgrade\r\nx-lockstep-nonce: ${hex}\r\n\r\n`;
    });
    await expect(
      connect({ local: 'worker', host: '127.0.0.1', port, ...worker, token }),
    ).rejects.toMatchObject({ code: 'unproved' });
    expect(said).toHaveLength(1);
    expect(said[0]).not.toContain('proof');
    expect(said[0]).not.toContain(token.reveal().slice(0, 16));
  });

  it('does not wait for ever for one that drips', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.resume();
      const timer = setInterval(() => socket.write('HTTP/1.1 100 Continue\r\n\r\n'), 20);
      socket.once('close', () => clearInterval(timer));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanUp.push(() => server.close());
    const { port } = server.address() as { port: number };
    const base = { local: 'worker', host: '127.0.0.1', port, ...worker, token } as const;
    await expect(connect({ ...base, timeoutMs: 200 })).rejects.toMatchObject({ code: 'timeout' });
  });
});

// A WebSocket client without manners: the upgrade, the proof and frames as bytes, for tests that send what no library would.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { WebSocket } from 'ws';
import {
  diallerProof,
  newNonce,
  provenResponse,
  type Request,
  requestHeaders,
} from '../../proto/transport/handshake.ts';
import type { Token } from '../../proto/transport/token.ts';
import { protocolVersion, type Role } from '../../proto/version.ts';

export interface Door {
  readonly port: number;
  readonly path: string;
  readonly role: Role;
  readonly token: Token;
}

/** What a dialler of ours says, with these parts said otherwise. */
export function requestTo(
  { path, role }: Pick<Door, 'path' | 'role'>,
  other: Partial<Request> = {},
): Request {
  return { path, role, run: '', version: String(protocolVersion), nonce: newNonce(), ...other };
}

export function upgradeText(request: Request, more: Readonly<Record<string, string>> = {}): string {
  const headers = {
    host: 'x',
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'sec-websocket-version': '13',
    ...requestHeaders(request),
    ...more,
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return [`GET ${request.path} HTTP/1.1`, ...lines, '', ''].join('\r\n');
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** The head of an answer, as bytes that a listener sent. */
export function parseAnswer(bytes: Uint8Array): RawAnswer {
  const [first = '', ...lines] = Buffer.from(bytes).toString('latin1').split('\r\n\r\n', 1)[0]!.split('\r\n');
  const headers = Object.fromEntries(lines.map((line) => line.split(': ', 2) as [string, string]));
  return { status: Number(first.split(' ')[1]), headers };
}

/** The socket once it is let in; what it then receives is thrown away. `write` writes the request. */
export async function dialWebSocket(
  door: Door,
  write: (socket: Socket, bytes: Uint8Array) => unknown = (socket, bytes) => socket.write(bytes),
): Promise<Socket> {
  const socket = connect(door.port, '127.0.0.1').setNoDelay(true);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  const request = requestTo(door);
  await write(socket, Buffer.from(upgradeText(request)));
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  const { status, headers } = parseAnswer(bytes);
  const response = provenResponse(door.token, request, status, headers);
  if (response === null) throw new Error(`the listener answered ${status}, without its proof`);
  socket.write(maskedFrame(diallerProof(door.token, request, response), [0, 0, 0, 0]));
  return socket.resume();
}

/** A client that is not ours, let in: `ws` itself, which sends whatever it is given. */
export async function foreignWebSocket(door: Door): Promise<WebSocket> {
  const request = requestTo(door);
  const socket = new WebSocket(`ws://127.0.0.1:${door.port}${door.path}`, {
    headers: requestHeaders(request),
    perMessageDeflate: false,
    generateMask: (mask) => void mask.fill(0),
  });
  let proof: Uint8Array = new Uint8Array(0);
  socket.once('upgrade', ({ headers }) => {
    const response = provenResponse(door.token, request, 101, headers);
    if (response !== null) proof = diallerProof(door.token, request, response);
  });
  await once(socket, 'open');
  socket.on('error', () => undefined);
  socket.send(proof);
  return socket;
}

/** A whole frame as a client sends it (RFC 6455, 5.2); `first`: its first byte. */
export function maskedFrame(payload: Uint8Array, key: readonly number[], first = 0x82): Buffer {
  const { length } = payload;
  const size = length < 126 ? [0x80 | length] : [0x80 | 126, length >> 8, length & 255];
  return Buffer.from([first, ...size, ...key, ...payload.map((byte, i) => byte ^ key[i % 4]!)]);
}

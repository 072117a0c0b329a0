// A WebSocket client without manners: the upgrade and frames as bytes, for tests that send what no library would.

import { connect, type Socket } from 'node:net';
import type { Token } from '../../proto/transport/token.ts';
import { protocolVersion, type Role, roleHeader, versionHeader } from '../../proto/version.ts';

export interface Door {
  readonly port: number;
  readonly path: string;
  readonly role: Role;
  readonly token: Token;
}

const upgrade = ({ path, role, token }: Door): string =>
  [
    `GET ${path} HTTP/1.1`,
    'host: x',
    'connection: Upgrade',
    'upgrade: websocket',
    'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
    'sec-websocket-version: 13',
    `authorization: ${token.authorization}`,
    `${roleHeader}: ${role}`,
    `${versionHeader}: ${protocolVersion}`,
    '',
    '',
  ].join('\r\n');

/** The socket once it is let in; what it then receives is thrown away. `write` writes the request. */
export async function dialWebSocket(
  door: Door,
  write: (socket: Socket, bytes: Uint8Array) => unknown = (socket, bytes) => socket.write(bytes),
): Promise<Socket> {
  const socket = connect(door.port, '127.0.0.1').setNoDelay(true);
  socket.on('error', () => undefined);
  await new Promise((resolve) => socket.once('connect', resolve));
  await write(socket, Buffer.from(upgrade(door)));
  await new Promise((resolve) => socket.once('data', resolve));
  return socket.resume();
}

/** A whole frame as a client sends it (RFC 6455, 5.2); `first`: its first byte. */
export function maskedFrame(payload: Uint8Array, key: readonly number[], first = 0x82): Buffer {
  const { length } = payload;
  const size = length < 126 ? [0x80 | length] : [0x80 | 126, length >> 8, length & 255];
  return Buffer.from([first, ...size, ...key, ...payload.map((byte, i) => byte ^ key[i % 4]!)]);
}

// From a stream whose upgrade was answered to a WebSocket (I/O): what WebSocketServer.handleUpgrade of `ws` does after it has
// written its 101. That method takes a request of node:http, which no listener of ours has (see stranger.ts), and starts to
// parse frames at once.

import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { WebSocket } from 'ws';

/** Of `ws`, without types: options of its constructor for the listening end, and its way to a stream. */
interface ListeningEnd {
  setSocket(stream: Socket, head: Uint8Array, options: object): void;
}

const receiving = { allowSynchronousEvents: true, maxBufferedChunks: 262_144, maxFragments: 16_384 } as const;
const closing = { autoPong: true, maxPendingAutoPongs: 60, closeTimeout: 30_000 } as const;

/** `head`: bytes of the stream that were read already. */
export function serverSocket(stream: Socket, head: Uint8Array, maxPayload: number): WebSocket {
  const Listening = WebSocket as unknown as new (
    address: null,
    protocols: undefined,
    options: object,
  ) => WebSocket;
  const socket = new Listening(null, undefined, closing);
  (socket as unknown as ListeningEnd).setSocket(stream, head, {
    ...receiving,
    maxPayload,
    skipUTF8Validation: true,
  });
  return socket;
}

const keyForm = /^[+/0-9A-Za-z]{22}==$/;

/** The header fields of the 101 (RFC 6455, 4.2.2), or null where the request asks for no WebSocket of version 13. */
export function upgradeHeaders(
  headers: ReadonlyMap<string, string>,
): Readonly<Record<string, string>> | null {
  const key = headers.get('sec-websocket-key') ?? '';
  const isUpgrade = headers.get('upgrade')?.toLowerCase() === 'websocket';
  if (!isUpgrade || !keyForm.test(key) || headers.get('sec-websocket-version') !== '13') return null;
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  return { upgrade: 'websocket', connection: 'Upgrade', 'sec-websocket-accept': accept };
}

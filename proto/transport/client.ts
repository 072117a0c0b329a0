// Dials a coordinator or a peer (I/O): one attempt, one Connection or one ProtocolError. Trying again is the caller's.

import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import { ProtocolError } from '../error.ts';
import { limits } from '../limits.ts';
import type { End } from '../messages.ts';
import type { Checksum } from '../seal.ts';
import { protocolVersion, type Role, roleHeader, versionHeader } from '../version.ts';
import { Connection } from './connection.ts';
import { isLoopback } from './loopback.ts';
import { type TlsIdentity, tlsProblem } from './tls.ts';
import type { Token } from './token.ts';

export interface ConnectOptions<Local extends End> {
  readonly local: Local;
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly role: Role;
  readonly token: Token;
  /** Dial with TLS. */
  readonly tls?: TlsIdentity | undefined;
  /** Without TLS the token goes to a host that is not this one only where this is wanted. */
  readonly insecure?: boolean;
  /** A faster CRC-32 than Node's. */
  readonly checksum?: Checksum | undefined;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** The zero key: every receiver takes it, and nothing has to be copied to apply it. */
const zeroMask = (mask: Buffer): void => {
  mask.fill(0);
};

const statusRemedies: Readonly<Record<number, string>> = {
  401: 'the token is missing or wrong: give both sides the same token',
  403: 'this role is not let in there',
  404: 'there is no such path: is it the right address?',
  496: 'it wants a certificate of the authority that its --tls-ca names: give --tls-cert and --tls-key',
  426: 'the other side runs another version',
  502: 'a proxy finds nobody behind it',
  503: 'a proxy finds nobody behind it',
  504: 'a proxy finds nobody behind it',
};

function inClear(where: string): ProtocolError {
  return new ProtocolError(
    'insecure',
    `the token would go to ${where} over the network in clear: use TLS on both sides (--tls-cert, --tls-key), ` +
      'or --insecure if the network is trusted',
  );
}

/** Throws ProtocolError `refused` (with the HTTP status), `certificate`, `unreachable`, `timeout` or `insecure`. */
export async function connect<Local extends End>(options: ConnectOptions<Local>): Promise<Connection<Local>> {
  const host =
    options.host.includes(':') && !options.host.startsWith('[') ? `[${options.host}]` : options.host;
  const where = `${host}:${options.port}`;
  if (options.tls === undefined && options.insecure !== true && !isLoopback(host)) throw inClear(where);
  const timeoutMs = options.timeoutMs ?? limits.connectTimeoutMs;
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${options.tls ? 'wss' : 'ws'}://${where}${options.path}`, {
      headers: {
        [roleHeader]: options.role,
        [versionHeader]: String(protocolVersion),
      },
      // Not among the headers above: Node prints those where somebody looks into its sockets (NODE_DEBUG=net).
      finishRequest: (request) => {
        request.setHeader('authorization', options.token.authorization);
        request.end();
      },
      perMessageDeflate: false,
      skipUTF8Validation: true,
      followRedirects: false,
      generateMask: zeroMask,
      handshakeTimeout: timeoutMs,
      maxPayload: limits.workerFrameBytesMax,
      ...options.tls,
    });
    let stream: Socket | null = null;
    const fail = (error: ProtocolError): void => {
      options.signal?.removeEventListener('abort', abort);
      socket.removeAllListeners();
      socket.on('error', () => {});
      socket.terminate();
      reject(error);
    };
    const abort = (): void => fail(new ProtocolError('unreachable', `dialling ${where} was given up`));
    socket.on('upgrade', (response) => {
      stream = response.socket;
    });
    socket.on('unexpected-response', (_request, response: IncomingMessage) => {
      const status = response.statusCode ?? 0;
      response.destroy();
      fail(
        new ProtocolError(
          'refused',
          `${where} refused the connection with status ${status}: ${statusRemedies[status] ?? 'not a Lockstep process?'}`,
          status,
        ),
      );
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const problem = tlsProblem(error, options.tls);
      if (error.message === 'Opening handshake has timed out')
        fail(new ProtocolError('timeout', `no answer from ${where} within ${timeoutMs} ms`));
      else if (problem !== null)
        fail(new ProtocolError('certificate', `cannot connect to ${where}: ${problem}`));
      else fail(new ProtocolError('unreachable', `cannot reach ${where} (${error.code ?? error.message})`));
    });
    socket.on('open', () => {
      options.signal?.removeEventListener('abort', abort);
      socket.removeAllListeners();
      resolve(new Connection(socket, stream!, options.local, true, options.checksum));
    });
    if (options.signal?.aborted) abort();
    else options.signal?.addEventListener('abort', abort, { once: true });
  });
}

// Dials a coordinator or a peer (I/O): one attempt, one Connection or one ProtocolError. Trying again is the caller's.

import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import { ProtocolError } from '../error.ts';
import { limits } from '../limits.ts';
import type { End } from '../messages.ts';
import type { Checksum } from '../seal.ts';
import { protocolVersion, type Role } from '../version.ts';
import { Connection } from './connection.ts';
import {
  diallerProof,
  newNonce,
  provenResponse,
  type Request,
  type Response,
  requestHeaders,
} from './handshake.ts';
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
  /** The run that this process belongs to; none yet where it is left out. */
  readonly run?: string;
  /** Dial with TLS. */
  readonly tls?: TlsIdentity | undefined;
  /** Without TLS the run goes to a host that is not this one only where this is wanted. */
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

/** Of one that has the token. */
const statusRemedies: Readonly<Record<number, string>> = {
  403: 'this role is not let in there',
  404: 'there is no such path: is it the right address?',
  409: 'it belongs to another run',
  426: 'the other side runs another version',
  496: 'it wants a certificate of the authority that its --tls-ca names: give --tls-cert and --tls-key',
  503: 'it has no room for more connections',
};

/** Answers of a proxy whose listener is not there, or starts: nothing is proved, and nothing is to be believed. */
export const awayStatuses: readonly number[] = [502, 503, 504];

function refusalOf(where: string, status: number, isProved: boolean): ProtocolError {
  const refused = `${where} refused the connection with status ${status}`;
  if (isProved)
    return new ProtocolError(
      'refused',
      `${refused}: ${statusRemedies[status] ?? 'it does not say why'}`,
      status,
    );
  if (awayStatuses.includes(status))
    return new ProtocolError('refused', `${refused}: a proxy finds nobody behind it`, status);
  return unproved(`${where} answered with status ${status}, but`, status);
}

function unproved(who: string, status: number): ProtocolError {
  return new ProtocolError(
    'unproved',
    `${who} did not prove that it has this token: give both sides the same token; else it is another program, or an older version`,
    status,
  );
}

function inClear(where: string): ProtocolError {
  return new ProtocolError(
    'insecure',
    `the run would go to ${where} over the network in clear: use TLS on both sides (--tls-cert, --tls-key), ` +
      'or --insecure if the network is trusted',
  );
}

/** Throws ProtocolError `refused` or `unproved` (with the HTTP status), `certificate`, `unreachable`, `timeout` or `insecure`. */
export async function connect<Local extends End>(options: ConnectOptions<Local>): Promise<Connection<Local>> {
  const host =
    options.host.includes(':') && !options.host.startsWith('[') ? `[${options.host}]` : options.host;
  const where = `${host}:${options.port}`;
  if (options.tls === undefined && options.insecure !== true && !isLoopback(host)) throw inClear(where);
  const timeoutMs = options.timeoutMs ?? limits.connectTimeoutMs;
  const { path, role, token, run = '' } = options;
  const request: Request = { path, role, run, version: String(protocolVersion), nonce: newNonce() };
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${options.tls ? 'wss' : 'ws'}://${where}${path}`, {
      headers: requestHeaders(request),
      perMessageDeflate: false,
      skipUTF8Validation: true,
      followRedirects: false,
      generateMask: zeroMask,
      maxHeaderSize: limits.headerBytesMax,
      maxPayload: limits.workerFrameBytesMax,
      ...options.tls,
    });
    let stream: Socket | null = null;
    let response: Response | null = null;
    const fail = (error: ProtocolError): void => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', abort);
      socket.removeAllListeners();
      socket.on('error', () => {});
      socket.terminate();
      stream?.destroy();
      reject(error);
    };
    // Of all of it: one that sends a byte now and then is not waited for.
    const timer = setTimeout(
      () => fail(new ProtocolError('timeout', `no answer from ${where} within ${timeoutMs} ms`)),
      timeoutMs,
    );
    const abort = (): void => fail(new ProtocolError('unreachable', `dialling ${where} was given up`));
    socket.on('upgrade', (answer: IncomingMessage) => {
      stream = answer.socket;
      response = provenResponse(token, request, 101, answer.headers);
      if (response === null) fail(unproved(where, 101));
    });
    socket.on('unexpected-response', (_request, answer: IncomingMessage) => {
      const status = answer.statusCode ?? 0;
      const isProved = provenResponse(token, request, status, answer.headers) !== null;
      answer.destroy();
      fail(refusalOf(where, status, isProved));
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const problem = tlsProblem(error, options.tls);
      if (problem !== null) fail(new ProtocolError('certificate', `cannot connect to ${where}: ${problem}`));
      else fail(new ProtocolError('unreachable', `cannot reach ${where} (${error.code ?? error.message})`));
    });
    socket.on('open', () => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', abort);
      socket.removeAllListeners();
      socket.send(diallerProof(token, request, response!));
      resolve(new Connection(socket, stream!, options.local, true, options.checksum));
    });
    if (options.signal?.aborted) abort();
    else options.signal?.addEventListener('abort', abort, { once: true });
  });
}

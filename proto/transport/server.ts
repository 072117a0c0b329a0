// Listens for WebSockets of one kind (I/O). Everything about a request is checked on its HTTP upgrade, the token in
// constant time, before any WebSocket code sees a byte. Plain requests go to a handler, if one is given.

import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { WebSocketServer } from 'ws';
import { ProtocolError } from '../error.ts';
import { limits } from '../limits.ts';
import type { End } from '../messages.ts';
import type { Checksum } from '../seal.ts';
import { protocolVersion, type Role, roleHeader, roles, versionHeader } from '../version.ts';
import { Connection } from './connection.ts';
import { isLoopback } from './loopback.ts';
import { Refusals } from './refusals.ts';
import type { TlsIdentity } from './tls.ts';
import { listenerTls } from './tls.ts';
import type { Token } from './token.ts';
import { WaitingRoom } from './waiting-room.ts';

export interface ListenOptions<Local extends End> {
  readonly local: Local;
  /** Loopback unless said otherwise. */
  readonly host?: string;
  /** 0: any free one. */
  readonly port: number;
  readonly path: string;
  readonly roles: readonly Role[];
  readonly token: Token;
  /** TLS where it has cert and key; with `ca` whoever dials must show a certificate of it. */
  readonly tls?: TlsIdentity | undefined;
  /** A faster CRC-32 than Node's. */
  readonly checksum?: Checksum | undefined;
  /** Listen on a wider address than loopback without TLS. */
  readonly insecure?: boolean;
  onConnection(connection: Connection<Local>, role: Role): void;
  readonly onRequest?: RequestListener;
}

export interface Listener {
  readonly host: string;
  readonly port: number;
  /** Stops listening and ends every connection. */
  close(): Promise<void>;
}

const frameBytesMax: { readonly [R in Role]: number } = {
  worker: limits.workerFrameBytesMax,
  observer: limits.observerFrameBytesMax,
  admin: limits.adminFrameBytesMax,
  peer: limits.peerFrameBytesMax,
};

interface Refusal {
  readonly status: 400 | 401 | 403 | 404 | 405 | 426 | 496;
  readonly text: string;
}

/**
 * Where certificates are asked for, whoever has none of the authority is told so by a status: a handshake that is broken off
 * would often reach the other end as a mere reset.
 */
function lacksCertificate({ socket }: IncomingMessage, { tls }: ListenOptions<End>): boolean {
  return listenerTls(tls)?.ca !== undefined && !(socket instanceof TLSSocket && socket.authorized);
}

/** Why this upgrade is refused, or the role it is let in with. */
function judge(request: IncomingMessage, options: ListenOptions<End>): Refusal | Role {
  const { headers } = request;
  if (lacksCertificate(request, options))
    return { status: 496, text: 'no certificate, or of another authority' };
  if (headers.origin !== undefined) return { status: 403, text: 'browsers are not let in' };
  if (!options.token.matches(headers.authorization)) return { status: 401, text: 'no token, or a wrong one' };
  if (request.method !== 'GET') return { status: 405, text: 'an upgrade is a GET' };
  const path = (request.url ?? '').split('?', 1)[0];
  if (path !== options.path) return { status: 404, text: 'nothing here' };
  const version = headers[versionHeader];
  if (version !== String(protocolVersion))
    return { status: 426, text: `this side speaks version ${protocolVersion} of the protocol` };
  const given = headers[roleHeader];
  const role = roles.find((known) => known === given);
  if (role === undefined || !options.roles.includes(role))
    return { status: 403, text: 'this role has no place here' };
  return role;
}

const statusTexts: { readonly [S in Refusal['status']]: string } = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  426: 'Upgrade Required',
  496: 'Certificate Required',
};

function answer(stream: Duplex, refusal: Refusal): void {
  const head = [
    `HTTP/1.1 ${refusal.status} ${statusTexts[refusal.status]}`,
    'connection: close',
    'content-type: text/plain',
    `content-length: ${Buffer.byteLength(refusal.text)}`,
    ...(refusal.status === 401 ? ['www-authenticate: Bearer'] : []),
    ...(refusal.status === 426 ? ['upgrade: websocket', `${versionHeader}: ${protocolVersion}`] : []),
  ];
  stream.end(`${head.join('\r\n')}\r\n\r\n${refusal.text}`, () => stream.destroy());
}

const hostOf = ({ remoteAddress }: Socket): string => remoteAddress ?? '';

const httpOptions = { maxHeaderSize: limits.headerBytesMax, headersTimeout: limits.upgradeTimeoutMs };
const tlsOptions = { handshakeTimeout: limits.upgradeTimeoutMs, minVersion: 'TLSv1.2' } as const;

const certificates = (ca: string | undefined) => ({
  requestCert: ca !== undefined,
  rejectUnauthorized: false,
});

/** Starts to listen. Throws ProtocolError `portInUse`, `insecure` or `unreachable`. */
export async function listen<Local extends End>(options: ListenOptions<Local>): Promise<Listener> {
  const host = options.host ?? '127.0.0.1';
  const tls = listenerTls(options.tls);
  if (!isLoopback(host) && tls === undefined && options.insecure !== true)
    throw new ProtocolError(
      'insecure',
      `listening on ${host} without TLS lets others read and write the run`,
    );
  const refusals = new Refusals();
  const plain: RequestListener = (_request, response) => {
    response.writeHead(404, { connection: 'close' }).end();
  };
  const onRequest: RequestListener = (request, response) => {
    const isRefused = lacksCertificate(request, options as unknown as ListenOptions<End>);
    if (!isRefused && options.onRequest) options.onRequest(request, response);
    else refusals.tell(hostOf(request.socket), () => plain(request, response));
  };
  const server: Server = tls
    ? createTlsServer({ ...httpOptions, ...tlsOptions, ...tls, ...certificates(tls.ca) }, onRequest)
    : createServer(httpOptions, onRequest);
  const sockets = new Map(
    options.roles.map((role) => [
      role,
      new WebSocketServer({
        noServer: true,
        clientTracking: false,
        perMessageDeflate: false,
        skipUTF8Validation: true,
        maxPayload: frameBytesMax[role],
      }),
    ]),
  );
  const open = new Set<Duplex>();
  const waiting = new WaitingRoom();
  server.on('connection', (stream: Socket) => {
    open.add(stream);
    waiting.enter(stream);
    stream.on('close', () => open.delete(stream));
  });
  server.on('clientError', (error: NodeJS.ErrnoException, stream) => {
    // It went in the middle of its request: there is nobody to tell.
    const isGone = ['ECONNRESET', 'HPE_INVALID_EOF_STATE'].includes(error.code ?? '') || !stream.writable;
    if (isGone) stream.destroy();
    else refusals.tell(hostOf(stream as Socket), () => answer(stream, { status: 400, text: 'not HTTP' }));
  });
  server.on('upgrade', (request, stream, head) => {
    stream.on('error', () => stream.destroy());
    const verdict = judge(request, options as unknown as ListenOptions<End>);
    if (typeof verdict !== 'string') {
      refusals.tell(hostOf(stream as Socket), () => answer(stream, verdict));
      return;
    }
    sockets.get(verdict)!.handleUpgrade(request, stream, head, (socket) => {
      waiting.leave(stream as Socket);
      const { local, checksum } = options;
      options.onConnection(new Connection(socket, stream as Socket, local, false, checksum), verdict);
    });
  });
  await bind(server, host, options.port);
  return {
    host,
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        refusals.end();
        server.close(() => resolve());
        for (const stream of open) stream.destroy();
      }),
  };
}

function bind(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE')
        reject(new ProtocolError('portInUse', `port ${port} of ${host} is in use by another process`));
      else
        reject(
          new ProtocolError(
            'unreachable',
            `cannot listen on ${host}:${port} (${error.code ?? error.message})`,
          ),
        );
    });
    server.listen({ host: host.replace(/^\[|\]$/g, ''), port }, () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
}

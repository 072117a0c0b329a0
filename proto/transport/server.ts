// Listens for WebSockets of one kind (I/O). Everything about a request is checked on its HTTP upgrade, and both ends prove
// that they have the token (handshake.ts), before any WebSocket code sees a byte. What a stranger may do before that:
// stranger.ts; how many there may be: waiting-room.ts.

import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, TLSSocket } from 'node:tls';
import { ProtocolError } from '../error.ts';
import { limits } from '../limits.ts';
import type { End } from '../messages.ts';
import type { Checksum } from '../seal.ts';
import { protocolVersion, type Role, roles } from '../version.ts';
import { Connection } from './connection.ts';
import {
  diallerProofFrameBytes,
  isDiallerProof,
  newResponse,
  type Request,
  requestOf,
  responseHeaders,
} from './handshake.ts';
import { isLoopback } from './loopback.ts';
import { type ConnectionShares, connectionShares, openFilesMax, ownFiles } from './open-files.ts';
import { Refusals } from './refusals.ts';
import type { RequestHead } from './request-head.ts';
import { serverSocket, upgradeHeaders } from './server-socket.ts';
import { type Answer, Stranger } from './stranger.ts';
import { listenerTls, type TlsIdentity } from './tls.ts';
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
  /** Threads and child processes that this process will have: descriptors are kept for them. */
  readonly threads?: number;
  /** The run that this process belongs to, empty where there is none yet: who belongs to another is refused. */
  readonly run?: () => string;
  onConnection(connection: Connection<Local>, role: Role): void;
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
  readonly status: 400 | 403 | 404 | 405 | 409 | 426 | 496 | 503;
  readonly text: string;
}

interface Admission {
  readonly role: Role;
  readonly request: Request;
  /** Header fields of the 101. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Why this upgrade is refused, or the role that it may be let in with. Nothing here depends on the token. */
function judge(head: RequestHead, options: ListenOptions<End>): Refusal | Admission {
  const { method, path, headers } = head;
  if (headers.has('origin')) return { status: 403, text: 'browsers are not let in' };
  if (path !== options.path) return { status: 404, text: 'nothing here' };
  if (method !== 'GET') return { status: 405, text: 'an upgrade is a GET' };
  const request = requestOf(path, headers);
  if (request === null) return { status: 400, text: 'no nonce' };
  if (request.version !== String(protocolVersion))
    return { status: 426, text: `this side speaks version ${protocolVersion} of the protocol` };
  const role = roles.find((known) => known === request.role);
  if (role === undefined || !options.roles.includes(role))
    return { status: 403, text: 'this role has no place here' };
  const run = options.run?.() ?? '';
  if (run !== '' && request.run !== '' && run !== request.run)
    return { status: 409, text: 'this side belongs to another run' };
  const upgrade = upgradeHeaders(headers);
  if (upgrade === null) return { status: 400, text: 'not an upgrade to a WebSocket' };
  return { role, request, headers: upgrade };
}

const reasons: { readonly [S in Refusal['status']]: string } = {
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  426: 'Upgrade Required',
  496: 'Certificate Required',
  503: 'Service Unavailable',
};

/** With the proof that it is ours, for a request that can check it: a dialler believes no other refusal. */
function answerOf({ status, text }: Refusal, head: RequestHead | null, token: Token): Answer {
  const request = head === null ? null : requestOf(head.path, head.headers);
  const headers = {
    connection: 'close',
    'content-type': 'text/plain',
    'content-length': Buffer.byteLength(text),
    ...(status === 426 ? { upgrade: 'websocket' } : {}),
    ...(request === null ? {} : responseHeaders(token, request, newResponse(status))),
  };
  return { status, reason: reasons[status], headers, text };
}

/** Those who dial one listener: who waits to be let in, and who is in. */
class Reception<Local extends End> {
  readonly #options: ListenOptions<Local>;
  readonly #shares: ConnectionShares;
  readonly #refusals = new Refusals();
  readonly #waiting: WaitingRoom;
  /** Certificates are asked for. */
  readonly #wantsCertificate: boolean;
  readonly #streams = new Set<Socket>();
  #open = 0;

  constructor(options: ListenOptions<Local>, shares: ConnectionShares) {
    this.#options = options;
    this.#shares = shares;
    this.#waiting = new WaitingRoom(shares.pending);
    this.#wantsCertificate = listenerTls(options.tls)?.ca !== undefined;
  }

  /** Below TLS, where there is TLS. */
  connected(stream: Socket): void {
    this.#streams.add(stream);
    this.#waiting.enter(stream);
    stream.once('close', () => this.#streams.delete(stream));
  }

  /** Ready to be read. */
  receive(stream: Socket): void {
    const stranger = new Stranger(stream);
    stranger.readHead((head) => {
      const verdict = this.#judge(head, stream);
      if ('status' in verdict) this.#refuse(stranger, verdict, head);
      else this.#challenge(stranger, verdict);
    });
  }

  close(): void {
    for (const stream of this.#streams) stream.destroy();
  }

  #judge(head: RequestHead | null, stream: Socket): Refusal | Admission {
    // By a status: a TLS handshake that is broken off would often reach the other end as a mere reset.
    if (this.#wantsCertificate && !(stream instanceof TLSSocket && stream.authorized))
      return { status: 496, text: 'no certificate, or of another authority' };
    if (head === null) return { status: 400, text: 'not one HTTP request' };
    const verdict = judge(head, this.#options as unknown as ListenOptions<End>);
    if ('role' in verdict && this.#open >= this.#shares.open)
      return { status: 503, text: 'no room for more connections' };
    return verdict;
  }

  #refuse(stranger: Stranger, refusal: Refusal, head: RequestHead | null): void {
    const { token } = this.#options;
    this.#inTurn(stranger, () => stranger.answer(answerOf(refusal, head, token)));
  }

  /** Proves itself, and lets in who does so in turn. Who does not is cut off, when it would be its turn to be refused. */
  #challenge(stranger: Stranger, { role, request, headers }: Admission): void {
    const { token } = this.#options;
    const response = newResponse(101);
    const proved = { ...headers, ...responseHeaders(token, request, response) };
    stranger.answer({ status: 101, reason: 'Switching Protocols', headers: proved, text: null });
    stranger.readBytes(diallerProofFrameBytes, (frame, rest) => {
      if (isDiallerProof(frame, token, request, response)) this.#admit(stranger.release(), rest, role);
      else this.#inTurn(stranger, () => stranger.stream.destroy());
    });
  }

  #inTurn(stranger: Stranger, act: () => void): void {
    stranger.stream.once('close', this.#refusals.tell(stranger.host, act));
  }

  #admit(stream: Socket, rest: Uint8Array, role: Role): void {
    const { local, checksum, onConnection } = this.#options;
    this.#waiting.leave(stream);
    this.#open += 1;
    stream.once('close', () => {
      this.#open -= 1;
    });
    const socket = serverSocket(stream, rest, frameBytesMax[role]);
    onConnection(new Connection(socket, stream, local, false, checksum), role);
  }
}

const tlsOptions = { handshakeTimeout: limits.upgradeTimeoutMs, minVersion: 'TLSv1.2' } as const;

/** Throws ProtocolError `openFiles`. */
function sharesOf(hasTls: boolean, threads: number): ConnectionShares {
  const filesMax = openFilesMax();
  const shares = connectionShares(filesMax, threads);
  if (shares === null) {
    throw new ProtocolError(
      'openFiles',
      `this process may have ${filesMax} files and connections open, which is too few for it to listen (it needs ` +
        `${ownFiles(threads)} and room for connections): raise the limit, for instance by ulimit -n 1024`,
    );
  }
  return hasTls ? { ...shares, pending: Math.min(shares.pending, limits.pendingTlsSocketsMax) } : shares;
}

/** Starts to listen. Throws ProtocolError `portInUse`, `insecure`, `openFiles` or `unreachable`. */
export async function listen<Local extends End>(options: ListenOptions<Local>): Promise<Listener> {
  const host = options.host ?? '127.0.0.1';
  const tls = listenerTls(options.tls);
  if (!isLoopback(host) && tls === undefined && options.insecure !== true)
    throw new ProtocolError(
      'insecure',
      `listening on ${host} without TLS lets others read and write the run`,
    );
  const reception = new Reception(options, sharesOf(tls !== undefined, options.threads ?? 0));
  const server: Server = tls
    ? createTlsServer({ ...tlsOptions, ...tls, requestCert: tls.ca !== undefined, rejectUnauthorized: false })
    : createServer();
  server.on('connection', (stream: Socket) => reception.connected(stream));
  server.on(tls ? 'secureConnection' : 'connection', (stream: Socket) => reception.receive(stream));
  await bind(server, host, options.port);
  return {
    host,
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        reception.close();
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
      // A connection that the system could not give us (its own limits, a dialler that was gone again) is the dialler's loss.
      server.on('error', () => undefined);
      resolve();
    });
  });
}

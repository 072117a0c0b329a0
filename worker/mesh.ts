// The full mesh of connections between the workers of one generation (I/O): higher ranks dial lower ones, both say
// who they are, and only then do messages flow. Losing one of them is told once; nobody reconnects here.

import type { StreamedHead } from '../proto/codec.ts';
import { ProtocolError } from '../proto/error.ts';
import { limits } from '../proto/limits.ts';
import type { MessageFrom, MessageOf } from '../proto/messages.ts';
import { connect } from '../proto/transport/client.ts';
import { type CloseReason, type Connection, closeCodes } from '../proto/transport/connection.ts';
import { closeText } from '../proto/transport/link.ts';
import { type Listener, listen } from '../proto/transport/server.ts';
import type { TensorReceiver } from '../proto/transport/tensor-tap.ts';
import type { Token } from '../proto/transport/token.ts';
import { peerPath } from '../proto/version.ts';
import { asLockstepError } from '../src/errors.ts';
import { deferred } from '../src/platform/deferred.ts';

export type PeerMessage = Exclude<MessageFrom<'peer'>, { type: 'peerHello' }>;

export interface MeshHandlers {
  onMessage(rank: number, message: PeerMessage): void;
  onLost(rank: number, why: string): void;
  /** Who takes a large tensor while it comes; see Connection. */
  openTensor?(rank: number, head: StreamedHead, dataBytes: number): TensorReceiver | null;
  /** Memory that may be given back; see Connection. */
  release?(chunk: Uint8Array): void;
}

/** Where other workers reach this one. Connections that come before they are expected wait, paused. */
export class PeerListener {
  readonly #listener: Listener;
  #waiting: Connection<'peer'>[] = [];
  #taker: ((connection: Connection<'peer'>) => void) | null = null;

  private constructor(listener: Listener) {
    this.#listener = listener;
  }

  /** Throws LOCKSTEP_PORT_IN_USE or LOCKSTEP_INSECURE. */
  static async open(options: {
    readonly host: string;
    readonly port: number;
    readonly token: Token;
    readonly insecure: boolean;
  }): Promise<PeerListener> {
    let self: PeerListener | null = null;
    try {
      const listener = await listen({
        ...options,
        local: 'peer',
        path: peerPath,
        roles: ['peer'],
        onConnection: (connection) => self?.arrived(connection),
      });
      self = new PeerListener(listener);
      return self;
    } catch (error) {
      throw asLockstepError(error);
    }
  }

  get port(): number {
    return this.#listener.port;
  }

  arrived(connection: Connection<'peer'>): void {
    if (this.#taker !== null) this.#taker(connection);
    else if (this.#waiting.length < limits.workersMax) this.#waiting.push(connection);
    else connection.destroy();
  }

  /** From now on `taker` gets every connection, those that wait first. */
  take(taker: (connection: Connection<'peer'>) => void): void {
    this.#taker = taker;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const connection of waiting) taker(connection);
  }

  close(): Promise<void> {
    return this.#listener.close();
  }
}

export interface MeshOptions {
  readonly listener: PeerListener;
  readonly membership: MessageOf<'membership'>;
  readonly runId: string;
  readonly token: Token;
  readonly handlers: MeshHandlers;
  /** Gives up when aborted. */
  readonly signal?: AbortSignal;
}

export class Mesh {
  readonly #connections: ReadonlyMap<number, Connection<'peer'>>;

  private constructor(connections: ReadonlyMap<number, Connection<'peer'>>) {
    this.#connections = connections;
  }

  /** Resolves when every other member is connected and has said who it is. Throws LockstepError after meshTimeoutMs. */
  static async form(options: MeshOptions): Promise<Mesh> {
    const forming = new MeshForming(options);
    try {
      return new Mesh(await forming.run());
    } catch (error) {
      forming.abandon();
      throw asLockstepError(error);
    }
  }

  get ranks(): readonly number[] {
    return [...this.#connections.keys()].sort((a, b) => a - b);
  }

  connection(rank: number): Connection<'peer'> {
    const found = this.#connections.get(rank);
    if (found === undefined) throw new ProtocolError('unexpected', `no connection to rank ${rank}`);
    return found;
  }

  close(): void {
    for (const connection of this.#connections.values()) connection.close();
  }
}

/** The time until all are connected. */
class MeshForming {
  readonly #options: MeshOptions;
  readonly #connected = new Map<number, Connection<'peer'>>();
  /** All that are open, those included that have not said who they are. */
  readonly #open = new Set<Connection<'peer'>>();
  readonly #complete = deferred<ReadonlyMap<number, Connection<'peer'>>>();
  readonly #giveUp = new AbortController();

  constructor(options: MeshOptions) {
    this.#options = options;
    this.#complete.promise.catch(() => undefined);
  }

  async run(): Promise<ReadonlyMap<number, Connection<'peer'>>> {
    const { membership, listener, signal } = this.#options;
    const timer = setTimeout(() => {
      const missing = membership.members.filter(
        (_, rank) => rank !== membership.rank && !this.#connected.has(rank),
      );
      this.#complete.reject(
        new ProtocolError(
          'timeout',
          `no connection with ${missing.map(({ workerId, host, port }) => `worker ${workerId} at ${host}:${port}`).join(', ')} ` +
            `within ${limits.meshTimeoutMs / 1000} s: can the workers reach each other at these addresses?`,
        ),
      );
    }, limits.meshTimeoutMs);
    const abort = (): void =>
      this.#complete.reject(new ProtocolError('unreachable', 'connecting was given up'));
    signal?.addEventListener('abort', abort, { once: true });
    try {
      this.#finishIfComplete();
      listener.take((connection) => this.#greet(connection, null));
      for (let rank = 0; rank < membership.rank; rank += 1) {
        this.#dial(rank).catch((error: unknown) => this.#complete.reject(error));
      }
      return await this.#complete.promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
  }

  abandon(): void {
    this.#giveUp.abort();
    for (const connection of this.#open) connection.destroy();
  }

  async #dial(rank: number): Promise<void> {
    const { membership, token } = this.#options;
    const { host, port } = membership.members[rank]!;
    const connection = await connect({
      local: 'peer',
      host,
      port,
      path: peerPath,
      role: 'peer',
      token,
      signal: this.#giveUp.signal,
    });
    this.#greet(connection, rank);
  }

  /** `expected`: the rank that was dialled; null for one that dialled us. */
  #greet(connection: Connection<'peer'>, expected: number | null): void {
    const { membership, runId, handlers } = this.#options;
    let rank: number | null = null;
    const hello = {
      type: 'peerHello',
      runId,
      generation: membership.generation,
      rank: membership.rank,
    } as const;
    connection.start({
      onMessage: (message) => {
        if (message.type === 'peerHello') {
          const wrong =
            rank !== null ||
            message.runId !== runId ||
            message.generation !== membership.generation ||
            message.rank >= membership.members.length ||
            (expected === null ? message.rank <= membership.rank : message.rank !== expected) ||
            this.#connected.has(message.rank);
          if (wrong) {
            connection.close(closeCodes.protocol, 'not a member of this generation');
            return;
          }
          rank = message.rank;
          if (expected === null) connection.send(hello);
          this.#connected.set(rank, connection);
          this.#finishIfComplete();
        } else if (rank === null) {
          connection.close(closeCodes.protocol, 'the first message must be peerHello');
        } else {
          handlers.onMessage(rank, message);
        }
      },
      onClose: (reason) => {
        this.#open.delete(connection);
        this.#closed(rank ?? expected, reason);
      },
      release: (chunk) => handlers.release?.(chunk),
      openTensor: (head, dataBytes) =>
        rank === null ? null : (handlers.openTensor?.(rank, head, dataBytes) ?? null),
    });
    if (expected !== null) connection.send(hello);
  }

  #closed(rank: number | null, reason: CloseReason): void {
    if (rank === null || reason.kind === 'local') return;
    const why = closeText(reason);
    this.#complete.reject(new ProtocolError('unreachable', `lost the connection to rank ${rank}: ${why}`));
    this.#options.handlers.onLost(rank, why);
  }

  #finishIfComplete(): void {
    if (this.#connected.size === this.#options.membership.members.length - 1) {
      this.#complete.resolve(this.#connected);
    }
  }
}

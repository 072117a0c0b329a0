// The full mesh of connections between the workers of one generation (I/O): higher ranks dial lower ones, both say
// who they are, and only then do messages flow. Losing one of them is told once; nobody reconnects here.

import { setMaxListeners } from 'node:events';
import type { StreamedHead } from '../proto/codec.ts';
import { isMisconduct, ProtocolError } from '../proto/error.ts';
import { limits } from '../proto/limits.ts';
import type { MessageFrom, MessageOf } from '../proto/messages.ts';
import type { Checksum } from '../proto/seal.ts';
import { connect } from '../proto/transport/client.ts';
import {
  type CloseReason,
  type Connection,
  type ConnectionHandlers,
  closeCodes,
} from '../proto/transport/connection.ts';
import { closeText } from '../proto/transport/link.ts';
import type { TensorReceiver } from '../proto/transport/tensor-tap.ts';
import { listenerTls, type TlsIdentity } from '../proto/transport/tls.ts';
import type { Token } from '../proto/transport/token.ts';
import { peerPath } from '../proto/version.ts';
import { asLockstepError } from '../src/errors.ts';
import { deferred } from '../src/platform/deferred.ts';
import type { Arrival, PeerListener } from './peer-listener.ts';

export type PeerMessage = Exclude<MessageFrom<'peer'>, { type: 'peerHello' }>;

/** What belongs to the steps; the rest heals. */
export type CollectiveMessage = Exclude<PeerMessage, { type: 'statePiece' }>;

export interface MeshHandlers {
  onMessage(rank: number, message: PeerMessage): void;
  /** `broken`: the connection stood and broke; else the peer is silent. */
  onLost(rank: number, why: string, broken: boolean): void;
  /** It sent what no honest worker sends; its connection is closed. */
  onMisconduct(rank: number, what: string): void;
  /** Who takes a large tensor while it comes; see Connection. */
  openTensor?(rank: number, head: StreamedHead, dataBytes: number): TensorReceiver | null;
  /** Memory that may be given back; see Connection. */
  release?(chunk: Uint8Array): void;
}

/** The mesh could not be formed for want of these ranks. */
export class MeshError extends Error {
  readonly ranks: readonly number[];

  constructor(message: string, ranks: readonly number[]) {
    super(message);
    this.name = 'MeshError';
    this.ranks = ranks;
  }
}

export interface MeshOptions {
  readonly listener: PeerListener;
  readonly membership: MessageOf<'membership'>;
  readonly runId: string;
  readonly token: Token;
  /** With cert and key the peers speak TLS, all of them. */
  readonly tls?: TlsIdentity | undefined;
  /** The run may go to peers over a network in clear. */
  readonly insecure?: boolean;
  /** A faster CRC-32 than Node's. */
  readonly checksum?: Checksum | undefined;
  readonly handlers: MeshHandlers;
  /** A peer that has said who it is, and then nothing for longer than this, is lost, in milliseconds. */
  readonly silenceMs: () => number;
  /** Gives up when aborted. */
  readonly signal?: AbortSignal;
}

export class Mesh {
  readonly #connections: ReadonlyMap<number, Connection<'peer'>>;

  private constructor(connections: ReadonlyMap<number, Connection<'peer'>>) {
    this.#connections = connections;
  }

  /** Resolves when every other member is connected and has said who it is. Throws MeshError when it takes too long (limits.meshTimeoutMs), else LockstepError. */
  static async form(options: MeshOptions): Promise<Mesh> {
    const forming = new MeshForming(options);
    try {
      return new Mesh(await forming.run());
    } catch (error) {
      forming.abandon();
      throw error instanceof MeshError ? error : asLockstepError(error);
    }
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

const gaveUpText = 'the mesh was given up';

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
    // Every dial listens to it: many listeners are no leak.
    setMaxListeners(0, this.#giveUp.signal);
  }

  async run(): Promise<ReadonlyMap<number, Connection<'peer'>>> {
    const { membership, listener, signal } = this.#options;
    const timeoutMs = limits.meshTimeoutMs + limits.meshTimeoutOfMemberMs * membership.members.length;
    const timer = setTimeout(() => {
      const missing = membership.members.flatMap((_, rank) =>
        rank === membership.rank || this.#connected.has(rank) ? [] : [rank],
      );
      this.#complete.reject(new MeshError(`no connection within ${timeoutMs / 1000} s`, missing));
    }, timeoutMs);
    const abort = (): void =>
      this.#complete.reject(new ProtocolError('unreachable', 'connecting was given up'));
    signal?.addEventListener('abort', abort, { once: true });
    try {
      this.#finishIfComplete();
      listener.take(membership.generation, (arrival) => this.#accept(arrival));
      for (let rank = 0; rank < membership.rank; rank += 1) {
        // Also where this worker may not dial there at all: an address that the others must not use ends none of them.
        this.#dial(rank).catch((error: unknown) =>
          this.#complete.reject(new MeshError(asLockstepError(error).message, [rank])),
        );
      }
      return await this.#complete.promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
  }

  /** In order: one that can be reached must not be taken for lost because it gave up for want of another. */
  abandon(): void {
    this.#giveUp.abort();
    for (const connection of this.#open) connection.close(closeCodes.done, gaveUpText);
  }

  async #dial(rank: number): Promise<void> {
    const { membership, runId, token, tls, insecure = false, checksum } = this.#options;
    const { host, port } = membership.members[rank]!;
    const connection = await connect({
      local: 'peer',
      host,
      port,
      path: peerPath,
      role: 'peer',
      run: runId,
      token,
      tls: listenerTls(tls),
      insecure,
      checksum,
      signal: this.#giveUp.signal,
    });
    if (this.#giveUp.signal.aborted) {
      connection.destroy();
      return;
    }
    let isGreeted = false;
    // It compiles before it answers.
    connection.watch(() => (isGreeted ? this.#options.silenceMs() : limits.silenceWhileFormingMs));
    connection.start({
      ...this.#handlersOf(connection, rank),
      onMessage: (message) => {
        if (isGreeted && message.type !== 'peerHello') this.#options.handlers.onMessage(rank, message);
        else if (!isGreeted && message.type === 'peerHello' && message.rank === rank) {
          isGreeted = true;
          this.#join(connection, rank);
        } else connection.close(closeCodes.protocol, 'not a member of this generation');
      },
    });
    connection.send(this.#hello());
  }

  #accept({ connection, hello, attach }: Arrival): void {
    const { membership, runId, handlers } = this.#options;
    const { rank } = hello;
    if (this.#giveUp.signal.aborted) {
      connection.close(closeCodes.done, gaveUpText);
      return;
    }
    const wrong =
      hello.runId !== runId ||
      rank >= membership.members.length ||
      rank <= membership.rank ||
      this.#connected.has(rank);
    if (wrong) {
      connection.close(closeCodes.protocol, 'not a member of this generation');
      return;
    }
    const onMessage = (message: MessageFrom<'peer'>): void => {
      if (message.type !== 'peerHello') handlers.onMessage(rank, message);
      else connection.close(closeCodes.protocol, 'peerHello was said twice');
    };
    attach({ ...this.#handlersOf(connection, rank), onMessage }, this.#options.silenceMs);
    connection.send(this.#hello());
    this.#join(connection, rank);
  }

  #hello(): MessageOf<'peerHello'> {
    const { membership, runId } = this.#options;
    return { type: 'peerHello', runId, generation: membership.generation, rank: membership.rank };
  }

  #handlersOf(connection: Connection<'peer'>, rank: number): Omit<ConnectionHandlers<'peer'>, 'onMessage'> {
    const { handlers } = this.#options;
    this.#open.add(connection);
    return {
      onClose: (reason) => {
        this.#open.delete(connection);
        this.#closed(rank, reason);
      },
      openTensor: (head, dataBytes) => handlers.openTensor?.(rank, head, dataBytes) ?? null,
      release: (chunk) => handlers.release?.(chunk),
    };
  }

  #join(connection: Connection<'peer'>, rank: number): void {
    this.#connected.set(rank, connection);
    this.#finishIfComplete();
  }

  #closed(rank: number, reason: CloseReason): void {
    // Whom it could not reach is its to say.
    const gaveUp = reason.kind === 'remote' && reason.code === closeCodes.done && reason.text === gaveUpText;
    if (reason.kind === 'local' || gaveUp) return;
    const { handlers } = this.#options;
    const why = closeText(reason);
    this.#complete.reject(new MeshError(why, [rank]));
    if (reason.kind === 'protocol' && isMisconduct(reason.error.code)) {
      handlers.onMisconduct(rank, reason.error.message);
    } else handlers.onLost(rank, why, !(reason.kind === 'lost' && reason.silent));
  }

  #finishIfComplete(): void {
    if (this.#connected.size === this.#options.membership.members.length - 1) {
      this.#complete.resolve(this.#connected);
    }
  }
}

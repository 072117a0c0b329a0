// Where other workers reach this one (I/O). Every connection says first who it is; those of a generation that this worker
// has not heard of yet wait for it, one of each rank and generation; those of an older one are closed. Whoever says nothing, or
// comes in any number, costs the others nothing.

import { limits } from '../proto/limits.ts';
import type { MessageOf } from '../proto/messages.ts';
import type { Checksum } from '../proto/seal.ts';
import { type Connection, type ConnectionHandlers, closeCodes } from '../proto/transport/connection.ts';
import { type Listener, listen } from '../proto/transport/server.ts';
import type { TlsIdentity } from '../proto/transport/tls.ts';
import type { Token } from '../proto/transport/token.ts';
import { peerPath } from '../proto/version.ts';
import { asLockstepError } from '../src/errors.ts';

export interface Arrival {
  readonly connection: Connection<'peer'>;
  readonly hello: MessageOf<'peerHello'>;
  /** Who hears of it from now on, and for how long it may be silent then. */
  attach(handlers: ConnectionHandlers<'peer'>, silenceMs: () => number): void;
}

/** What a worker needs to meet the others. */
export interface PeerNetwork {
  readonly listener: PeerListener;
  readonly token: Token;
  readonly tls?: TlsIdentity | undefined;
  /** The token may go to peers over a network in clear. */
  readonly insecure?: boolean;
  /** A faster CRC-32 than Node's. */
  readonly checksum?: Checksum | undefined;
}

type Taker = (arrival: Arrival) => void;

interface Bounds {
  /** Connections that wait for a generation, and those that have not said who they are: so many each. */
  readonly waitingMax: number;
  /** To say who it is, in milliseconds. */
  readonly helloMs: number;
}

const keyOf = ({ hello }: Arrival): string => `${hello.generation}.${hello.rank}`;

export class PeerListener {
  readonly #listener: Listener;
  readonly #bounds: Bounds;
  /** By generation and rank. */
  readonly #waiting = new Map<string, Arrival>();
  /** Those that have not said who they are, the oldest first. */
  readonly #nameless = new Set<Connection<'peer'>>();
  /** The run that this worker belongs to; empty before its first welcome. */
  runId = '';
  #generation = 0;
  #taker: Taker | null = null;

  private constructor(listener: Listener, bounds: Bounds) {
    this.#listener = listener;
    this.#bounds = bounds;
  }

  /** Throws LOCKSTEP_PORT_IN_USE or LOCKSTEP_INSECURE. */
  static async open(options: {
    readonly host: string;
    readonly port: number;
    readonly token: Token;
    readonly tls?: TlsIdentity | undefined;
    /** A faster CRC-32 than Node's. */
    readonly checksum?: Checksum | undefined;
    readonly insecure: boolean;
    readonly threads?: number;
    readonly bounds?: Bounds;
  }): Promise<PeerListener> {
    const { bounds = { waitingMax: limits.workersMax, helloMs: limits.connectTimeoutMs } } = options;
    let self: PeerListener | null = null;
    try {
      const listener = await listen({
        ...options,
        local: 'peer',
        path: peerPath,
        roles: ['peer'],
        run: () => self?.runId ?? '',
        onConnection: (connection) => self?.arrived(connection),
      });
      self = new PeerListener(listener, bounds);
      return self;
    } catch (error) {
      throw asLockstepError(error);
    }
  }

  get port(): number {
    return this.#listener.port;
  }

  arrived(connection: Connection<'peer'>): void {
    let handlers: ConnectionHandlers<'peer'> | null = null;
    let silenceMs = (): number => limits.silenceWhileFormingMs;
    let arrival: Arrival | null = null;
    const named = this.#expectHello(connection);
    connection.watch(() => silenceMs());
    connection.start({
      onMessage: (message) => {
        if (handlers !== null) {
          handlers.onMessage(message);
        } else if (message.type !== 'peerHello' || arrival !== null) {
          connection.close(
            closeCodes.protocol,
            'the first message must be peerHello, and an answer comes before a second',
          );
        } else {
          named();
          arrival = {
            connection,
            hello: message,
            attach: (given, givenMs) => {
              handlers = given;
              silenceMs = givenMs;
            },
          };
          this.#place(arrival);
        }
      },
      onClose: (reason) => {
        named();
        if (arrival !== null) this.#leave(arrival);
        handlers?.onClose(reason);
      },
      openTensor: (head, dataBytes) => handlers?.openTensor?.(head, dataBytes) ?? null,
      release: (chunk) => handlers?.release?.(chunk),
    });
  }

  /** From now on `taker` gets the connections of this generation, those that wait first. */
  take(generation: number, taker: Taker): void {
    this.#generation = generation;
    this.#taker = taker;
    for (const arrival of [...this.#waiting.values()]) {
      if (arrival.hello.generation > generation) continue;
      this.#leave(arrival);
      this.#place(arrival);
    }
  }

  close(): Promise<void> {
    return this.#listener.close();
  }

  #place(arrival: Arrival): void {
    const { connection, hello } = arrival;
    if (hello.generation === this.#generation && this.#taker !== null) this.#taker(arrival);
    else if (hello.generation < this.#generation)
      connection.close(closeCodes.protocol, 'that generation is over');
    else this.#wait(arrival);
  }

  /** Of too many those go that are furthest ahead: honest ones are of the next few generations. */
  #wait(arrival: Arrival): void {
    if (this.#waiting.has(keyOf(arrival))) {
      arrival.connection.close(closeCodes.protocol, 'another waits with this rank');
      return;
    }
    this.#waiting.set(keyOf(arrival), arrival);
    if (this.#waiting.size <= this.#bounds.waitingMax) return;
    const furthest = [...this.#waiting.values()].reduce((most, each) =>
      each.hello.generation > most.hello.generation ? each : most,
    );
    this.#leave(furthest);
    furthest.connection.destroy();
  }

  #leave(arrival: Arrival): void {
    if (this.#waiting.get(keyOf(arrival)) === arrival) this.#waiting.delete(keyOf(arrival));
  }

  /** Ends it unless it says in time who it is, or of too many the oldest; to be called when it has. */
  #expectHello(connection: Connection<'peer'>): () => void {
    const { waitingMax, helloMs } = this.#bounds;
    const timer = setTimeout(() => connection.destroy(), helloMs).unref();
    this.#nameless.add(connection);
    const [oldest] = this.#nameless;
    if (this.#nameless.size > waitingMax) {
      this.#nameless.delete(oldest!);
      oldest!.destroy();
    }
    return () => {
      clearTimeout(timer);
      this.#nameless.delete(connection);
    };
  }
}

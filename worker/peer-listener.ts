// Where other workers reach this one (I/O). Every connection says first who it is; those of a generation that this worker
// has not heard of yet wait for it, those of an older one are closed.

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
  /** Who hears of it from now on. */
  attach(handlers: ConnectionHandlers<'peer'>): void;
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

export class PeerListener {
  readonly #listener: Listener;
  readonly #waiting = new Set<Arrival>();
  #generation = 0;
  #taker: Taker | null = null;

  private constructor(listener: Listener) {
    this.#listener = listener;
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
    let handlers: ConnectionHandlers<'peer'> | null = null;
    let arrival: Arrival | null = null;
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
          arrival = {
            connection,
            hello: message,
            attach: (given) => {
              handlers = given;
            },
          };
          this.#place(arrival);
        }
      },
      onClose: (reason) => {
        if (arrival !== null) this.#waiting.delete(arrival);
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
    for (const arrival of [...this.#waiting]) {
      if (arrival.hello.generation > generation) continue;
      this.#waiting.delete(arrival);
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
    else if (this.#waiting.size < limits.workersMax) this.#waiting.add(arrival);
    else connection.destroy();
  }
}

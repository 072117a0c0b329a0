// Sockets that have not become WebSockets yet (I/O): each has limits.upgradeTimeoutMs, and there are never more than
// limits.pendingSocketsMax; the oldest goes first, for an honest handshake is over within milliseconds.

import type { Socket } from 'node:net';
import { limits } from '../limits.ts';

interface Waiting {
  readonly socket: Socket;
  readonly timer: NodeJS.Timeout;
}

export class WaitingRoom {
  /** By the other end's address, which TLS sockets share with the sockets below them. In order of coming. */
  readonly #waiting = new Map<string, Waiting>();

  enter(socket: Socket): void {
    if (this.#waiting.size >= limits.pendingSocketsMax) {
      const [oldest] = this.#waiting.values();
      oldest?.socket.destroy();
    }
    const key = keyOf(socket);
    const timer = setTimeout(() => socket.destroy(), limits.upgradeTimeoutMs);
    this.#waiting.set(key, { socket, timer });
    socket.once('close', () => {
      if (this.#waiting.get(key)?.socket === socket) this.#remove(key);
    });
  }

  /** It was let in: it may stay. */
  leave(socket: Socket): void {
    this.#remove(keyOf(socket));
  }

  #remove(key: string): void {
    clearTimeout(this.#waiting.get(key)?.timer);
    this.#waiting.delete(key);
  }
}

const keyOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`;

// Sockets that have not become WebSockets yet (I/O): each has limits.upgradeTimeoutMs, and there are never more than there is
// room for. One has to go then: the oldest of the host that has the most here, for an honest handshake is
// over within milliseconds, and nobody is to suffer for what another host does.

import type { Socket } from 'node:net';
import { limits } from '../limits.ts';

interface Waiting {
  readonly socket: Socket;
  readonly timer: NodeJS.Timeout;
}

export class WaitingRoom {
  /** By host, and there by port: the address is what TLS sockets share with the sockets below them. In order of coming. */
  readonly #hosts = new Map<string, Map<number, Waiting>>();
  readonly #room: number;
  #size = 0;

  constructor(room: number = limits.pendingSocketsMax) {
    this.#room = room;
  }

  enter(socket: Socket): void {
    const { remoteAddress, remotePort } = socket;
    // It is gone already.
    if (remoteAddress === undefined || remotePort === undefined) {
      socket.destroy();
      return;
    }
    if (this.#size >= this.#room) this.#makeRoom();
    const timer = setTimeout(() => socket.destroy(), limits.upgradeTimeoutMs);
    const ofHost = this.#hosts.get(remoteAddress) ?? new Map<number, Waiting>();
    this.#hosts.set(remoteAddress, ofHost.set(remotePort, { socket, timer }));
    this.#size += 1;
    socket.once('close', () => {
      if (ofHost.get(remotePort)?.socket === socket) this.#remove(remoteAddress, remotePort);
    });
  }

  /** It was let in: it may stay. */
  leave({ remoteAddress, remotePort }: Socket): void {
    if (remoteAddress !== undefined && remotePort !== undefined) this.#remove(remoteAddress, remotePort);
  }

  #makeRoom(): void {
    let most: Map<number, Waiting> | null = null;
    for (const ofHost of this.#hosts.values()) if (ofHost.size > (most?.size ?? 0)) most = ofHost;
    const [oldest] = most?.values() ?? [];
    if (oldest === undefined) return;
    this.leave(oldest.socket);
    oldest.socket.destroy();
  }

  #remove(host: string, port: number): void {
    const ofHost = this.#hosts.get(host);
    const waiting = ofHost?.get(port);
    if (ofHost === undefined || waiting === undefined) return;
    clearTimeout(waiting.timer);
    ofHost.delete(port);
    this.#size -= 1;
    if (ofHost.size === 0) this.#hosts.delete(host);
  }
}

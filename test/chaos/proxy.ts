// For chaos tests: a TCP proxy that does to connections what the weather says. Thin: what happens is drawn in weather.ts.
// Mishaps strike behind the HTTP upgrade, so that nobody is refused for a token that was damaged on its way.

import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import { fragmentSizes, type Mishap, stillWire, type Wire } from './weather.ts';

export interface ProxyOptions {
  /** Loopback; any free port. */
  readonly target: () => { readonly host: string; readonly port: number };
  /** What the n-th connection is like, towards the listener or away from it. */
  readonly wire?: (connection: number, towardsListener: boolean) => Wire;
}

/** Above this the source waits, in bytes. */
const queueBytesMax = 256 * 1024;
const endOfHead = Buffer.from('\r\n\r\n');

export class FaultyProxy {
  readonly #server: Server;
  readonly #options: ProxyOptions;
  readonly #connections = new Set<Passage>();
  #count = 0;

  private constructor(options: ProxyOptions) {
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket));
  }

  static async open(options: ProxyOptions): Promise<FaultyProxy> {
    const proxy = new FaultyProxy(options);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** Connections so far. */
  get connections(): number {
    return this.#count;
  }

  /** Connections that are open behind their upgrade. */
  get open(): readonly Passage[] {
    return [...this.#connections].filter(({ isUpgraded }) => isUpgraded);
  }

  /** Mishaps that have not happened will not. */
  calm(): void {
    for (const connection of this.#connections) connection.calm();
  }

  async close(): Promise<void> {
    for (const connection of this.#connections) connection.reset();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #accept(dialler: Socket): void {
    const { target, wire = () => stillWire } = this.#options;
    const number = this.#count++;
    const listener = dial({ ...target(), allowHalfOpen: true, noDelay: true });
    const passage = new Passage(dialler, listener, wire(number, true), wire(number, false), () =>
      this.#connections.delete(passage),
    );
    this.#connections.add(passage);
  }
}

/** One connection: its two directions. */
export class Passage {
  readonly #sockets: readonly [Socket, Socket];
  readonly #towards: { readonly listener: Lane; readonly dialler: Lane };

  constructor(dialler: Socket, listener: Socket, up: Wire, down: Wire, ended: () => void) {
    this.#sockets = [dialler, listener];
    const reset = (): void => this.reset();
    this.#towards = {
      listener: new Lane(dialler, listener, up, reset),
      dialler: new Lane(listener, dialler, down, reset),
    };
    for (const socket of this.#sockets) {
      socket.on('error', reset);
      socket.on('close', () => {
        if (this.#sockets.every(({ destroyed }) => destroyed)) ended();
      });
    }
  }

  get isUpgraded(): boolean {
    return this.#towards.listener.isUpgraded && this.#towards.dialler.isUpgraded;
  }

  /** `done` is called when it has happened. */
  strike(mishap: Mishap, done: () => void): void {
    this.#towards[mishap.towards].strike(mishap, done);
  }

  calm(): void {
    this.#towards.listener.calm();
    this.#towards.dialler.calm();
  }

  reset(): void {
    for (const socket of this.#sockets) if (!socket.destroyed) socket.resetAndDestroy();
  }
}

interface Piece {
  readonly bytes: Buffer;
  readonly dueMs: number;
  /** Leaves in a write of its own. */
  readonly alone: boolean;
}

/** A mishap that waits for its byte. */
interface Armed {
  readonly mishap: Mishap;
  /** Bytes that still pass before. */
  left: number;
  readonly done: () => void;
}

/** One direction of a connection: bytes wait for their time, in order. */
class Lane {
  readonly #source: Socket;
  readonly #sink: Socket;
  readonly #wire: Wire;
  readonly #reset: () => void;
  readonly #queue: Piece[] = [];
  #queuedBytes = 0;
  #lastDueMs = 0;
  #over = false;
  #pumping = false;
  #head: Buffer | null = Buffer.alloc(0);
  #mishaps: Armed[] = [];

  constructor(source: Socket, sink: Socket, wire: Wire, reset: () => void) {
    this.#source = source;
    this.#sink = sink;
    this.#wire = wire;
    this.#reset = reset;
    source.on('data', (chunk: Buffer) => this.#take(chunk));
    source.on('end', () => this.#end());
    source.on('close', () => this.#end());
    sink.on('close', () => {
      this.#over = true;
      source.resume(); // Whatever comes is for nobody.
    });
    sink.on('drain', () => this.#pump());
  }

  get isUpgraded(): boolean {
    return this.#head === null && !this.#over;
  }

  strike(mishap: Mishap, done: () => void): void {
    this.#mishaps.push({ mishap, left: mishap.afterBytes, done });
  }

  calm(): void {
    this.#mishaps = [];
  }

  #take(chunk: Buffer): void {
    if (this.#over) return;
    if (this.#head !== null) {
      this.#head = Buffer.concat([this.#head, chunk]);
      if (this.#head.includes(endOfHead)) this.#head = null;
      this.#enqueue(chunk);
    } else {
      this.#takeWithMishaps(chunk);
    }
    if (this.#queuedBytes > queueBytesMax) this.#source.pause();
    this.#pump();
  }

  /** The first mishap whose byte is in this chunk, what comes before it, and what comes after. */
  #takeWithMishaps(chunk: Buffer): void {
    const next = this.#mishaps.reduce<Armed | null>(
      (first, each) => (each.left < (first?.left ?? chunk.length) ? each : first),
      null,
    );
    const at = next?.left ?? chunk.length;
    if (at > 0) this.#enqueue(chunk.subarray(0, at));
    for (const each of this.#mishaps) each.left -= at;
    if (next === null) return;
    this.#mishaps = this.#mishaps.filter((each) => each !== next);
    const rest = this.#happen(next.mishap, chunk.subarray(at));
    next.done();
    if (rest.length > 0) this.#takeWithMishaps(rest);
  }

  /** Returns what is still to be taken. */
  #happen({ kind, amount, atMs }: Mishap, chunk: Buffer): Buffer {
    switch (kind) {
      case 'pause':
        this.#lastDueMs = Math.max(this.#lastDueMs, performance.now()) + amount;
        return chunk;
      case 'flip':
        chunk[0] = chunk[0]! ^ (1 << amount);
        return chunk;
      case 'fragments': {
        const end = Math.min(chunk.length, amount);
        let from = 0;
        for (const size of fragmentSizes(end, Math.floor(atMs))) {
          this.#enqueue(chunk.subarray(from, from + size), true);
          from += size;
        }
        return chunk.subarray(end);
      }
      case 'truncation':
        this.#end();
        this.#source.destroy();
        return chunk.subarray(chunk.length);
      case 'reset':
        this.#over = true;
        this.#reset();
        return chunk.subarray(chunk.length);
      default:
        return kind satisfies never;
    }
  }

  #enqueue(bytes: Buffer, alone = false): void {
    const arrivalMs = performance.now() + this.#wire.delayMs();
    const dueMs = Math.max(this.#lastDueMs, arrivalMs) + bytes.length / this.#wire.bytesPerMs;
    this.#lastDueMs = dueMs;
    this.#queuedBytes += bytes.length;
    this.#queue.push({ bytes, dueMs, alone });
  }

  /** What was taken still goes out, then the end. */
  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#pump();
  }

  #pump(): void {
    if (this.#pumping || this.#sink.destroyed) return;
    for (;;) {
      const piece = this.#queue[0];
      if (piece === undefined) {
        if (this.#over) this.#sink.end();
        return;
      }
      const waitMs = piece.dueMs - performance.now();
      if (waitMs > 0) {
        this.#later((go) => setTimeout(go, waitMs));
        return;
      }
      this.#queue.shift();
      this.#queuedBytes -= piece.bytes.length;
      if (this.#queuedBytes < queueBytesMax / 2) this.#source.resume();
      if (!this.#sink.write(piece.bytes)) return; // 'drain' goes on.
      if (piece.alone) {
        this.#later(setImmediate);
        return;
      }
    }
  }

  #later(schedule: (go: () => void) => unknown): void {
    this.#pumping = true;
    schedule(() => {
      this.#pumping = false;
      this.#pump();
    });
  }
}

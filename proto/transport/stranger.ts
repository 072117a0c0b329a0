// A connection that has not been let in (I/O). It may send one request head of at most limits.headerBytesMax, gets one short
// answer, and may then prove that it has the token. Nothing else of it is kept: one byte too many ends it, so that there is never a queue of requests,
// of bodies or of answers. node:http cannot promise this: it parses every request that a read brings and answers each
// (with maxRequestsPerSocket by its own 503), and a stranger who does not read those answers fills the memory.

import type { Socket } from 'node:net';
import { limits } from '../limits.ts';
import { headEnd, parseRequestHead, type RequestHead } from './request-head.ts';

export interface Answer {
  readonly status: number;
  readonly reason: string;
  readonly headers: Readonly<Record<string, string | number>>;
  /** Null where the connection goes on. */
  readonly text: string | null;
}

export class Stranger {
  readonly stream: Socket;
  #onData: (chunk: Buffer) => void;
  readonly #end = (): void => void this.stream.destroy();

  constructor(stream: Socket) {
    this.stream = stream;
    this.#onData = this.#end;
    stream.on('error', this.#end);
    stream.on('end', this.#end);
    stream.on('data', this.#onData);
  }

  get host(): string {
    return this.stream.remoteAddress ?? '';
  }

  /** Calls `onHead` once, with null where what came is no request head or more than one. Then nothing more may come. */
  readHead(onHead: (head: RequestHead | null) => void): void {
    let bytes: Buffer = Buffer.alloc(0);
    this.#listen((chunk) => {
      const searched = Math.max(0, bytes.length - headEnd.length + 1);
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
      const end = bytes.indexOf(headEnd, searched, 'latin1');
      // A handshake of TLS, for one, is told at once that it is at the wrong place: it never has the end of a head.
      if (end < 0 && bytes.length < limits.headerBytesMax && startsMethod(bytes)) return;
      const isHead = end >= 0 && end < limits.headerBytesMax && end + headEnd.length === bytes.length;
      this.#listen(this.#end);
      onHead(isHead ? parseRequestHead(bytes.subarray(0, end)) : null);
    });
  }

  /** Calls `onBytes` once, with the next `count` bytes and what came with them. Call after readHead, and once. */
  readBytes(count: number, onBytes: (bytes: Buffer, rest: Buffer) => void): void {
    let bytes: Buffer = Buffer.alloc(0);
    this.#listen((chunk) => {
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
      if (bytes.length < count) return;
      this.#listen(this.#end);
      onBytes(bytes.subarray(0, count), bytes.subarray(count));
    });
  }

  /** The only answer it gets, and the last where there is a text. */
  answer({ status, reason, headers, text }: Answer): void {
    if (this.stream.destroyed) return;
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
    const head = `HTTP/1.1 ${[`${status} ${reason}`, ...lines].join('\r\n')}${headEnd}`;
    if (text === null) this.stream.write(head);
    else this.stream.end(`${head}${text}`, () => this.stream.destroy());
  }

  /** It is a stranger no more: the stream is the caller's, paused, with nobody listening to it. */
  release(): Socket {
    this.stream.pause();
    this.stream.off('data', this.#onData);
    this.stream.off('error', this.#end);
    this.stream.off('end', this.#end);
    return this.stream;
  }

  #listen(onData: (chunk: Buffer) => void): void {
    this.stream.off('data', this.#onData);
    this.#onData = onData;
    this.stream.on('data', onData);
  }
}

const startsMethod = ([first = 0]: Uint8Array): boolean => first >= 0x41 && first <= 0x5a;

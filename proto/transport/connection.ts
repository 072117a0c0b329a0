// One WebSocket that speaks messages (I/O). Checks what comes in, hands it on typed; bad bytes end this connection with
// one ProtocolError and touch nothing else. No reconnecting, no meaning of messages.
// Messages are sealed (seal.ts), and pings say how many there were: what is changed or lost on the way does not go unseen.

import type { Socket } from 'node:net';
import { crc32 } from 'node:zlib';
import type { WebSocket } from 'ws';
import { decodeMessage, encodeMessage, type StreamedHead, type TensorHead } from '../codec.ts';
import { ProtocolError } from '../error.ts';
import { limits } from '../limits.ts';
import type { Across, End, Message, MessageFrom } from '../messages.ts';
import { type Checksum, corruption, MessageChecks, readUint32, writeUint32 } from '../seal.ts';
import { TensorSender } from './tensor-sender.ts';
import { type TensorReceiver, TensorTap } from './tensor-tap.ts';

export type CloseReason =
  /** We closed it. */
  | { readonly kind: 'local' }
  /** The other end closed it in order. */
  | { readonly kind: 'remote'; readonly code: number; readonly text: string }
  /** It broke: the process across died, the network went. */
  /** `silent`: nothing was heard for too long. */
  | { readonly kind: 'lost'; readonly message: string; readonly silent: boolean }
  /** What came in was wrong; the connection was ended for it. */
  | { readonly kind: 'protocol'; readonly error: ProtocolError };

export interface ConnectionHandlers<Local extends End> {
  /** Binary fields are views of the received frame: they stay valid, and are nobody else's. */
  onMessage(message: MessageFrom<Across<Local>>): void;
  /** Once. */
  onClose(reason: CloseReason): void;
  /** Who takes this large tensor while it comes; null, or no such handler: it comes as a message. */
  openTensor?(head: StreamedHead, dataBytes: number): TensorReceiver | null;
  /** Bytes from the socket that nobody holds any more, a buffer of their own: its memory may be given back. */
  release?(chunk: Uint8Array): void;
}

/** Codes of the WebSocket protocol that we send. */
export const closeCodes = { done: 1000, protocol: 1002, tooLarge: 1009, failure: 1011 } as const;

export class Connection<Local extends End> {
  readonly #socket: WebSocket;
  readonly #stream: Socket;
  readonly #local: Local;
  /** Frames of the end that dialled carry a masking key; ours is zero. */
  readonly #masked: boolean;
  readonly #sent: MessageChecks;
  readonly #tensors: TensorSender;
  readonly #received: MessageChecks;
  readonly remoteAddress: string;
  #handlers: ConnectionHandlers<Local> | null = null;
  #reason: CloseReason | null = null;
  #closed = false;
  #timer: NodeJS.Timeout | undefined;
  #tap: TensorTap | null = null;
  /** When the other end was heard last; see watch. */
  #heardMs = 0;

  /** For server.ts and client.ts. The socket is paused until start(). `checksum`: a faster one than Node's, if there is. */
  constructor(socket: WebSocket, stream: Socket, local: Local, masked: boolean, checksum: Checksum = crc32) {
    this.#sent = new MessageChecks(checksum);
    this.#received = new MessageChecks(checksum);
    this.#socket = socket;
    this.#stream = stream;
    this.#tensors = new TensorSender(stream, masked, this.#sent, () => this.isOpen);
    this.#local = local;
    this.#masked = masked;
    this.remoteAddress = stream.remoteAddress ?? '';
    stream.setNoDelay(true);
    socket.pause();
    socket.on('message', (data, isBinary) => this.#receive(data as Buffer, isBinary));
    socket.on('ping', (count) => this.#compareCount(count));
    socket.on('error', (error: Error & { code?: string }) => this.#broke(error));
    socket.on('close', (code, text) => this.#ended(code, text.toString()));
  }

  /** Lets messages flow to these handlers. Call once. */
  start(handlers: ConnectionHandlers<Local>): void {
    this.#handlers = handlers;
    if (this.#closed) {
      handlers.onClose(this.#reason!);
      return;
    }
    if (handlers.openTensor) this.#tapStream();
    this.#socket.resume();
  }

  /** Puts a tap ahead of the WebSocket's own reader, which is the only one there. */
  #tapStream(): void {
    const [reader, ...others] = this.#stream.listeners('data');
    if (reader === undefined || others.length > 0) return;
    const tap = new TensorTap({
      masked: !this.#masked,
      frameBytesMax: limits.peerFrameBytesMax,
      checks: this.#received,
      passOn: (bytes) => reader.call(this.#stream, bytes),
      open: (head, dataBytes) => this.#handlers?.openTensor?.(head, dataBytes) ?? null,
      whole: (message) => this.#receive(message, true),
      failed: (error) => {
        if (!(error instanceof ProtocolError)) throw error;
        this.refuse(error);
      },
    });
    this.#tap = tap;
    this.#stream.removeListener('data', reader as (chunk: Buffer) => void);
    this.#stream.on('data', (chunk: Buffer) => {
      const { frames } = tap;
      const isTaken = tap.write(chunk);
      if (tap.frames !== frames || chunk.length >= progressBytesMin) this.#heardMs = performance.now();
      const isFree = isTaken && chunk.length >= releasedChunkBytesMin;
      if (isFree && chunk.length === chunk.buffer.byteLength) this.#handlers?.release?.(chunk);
    });
  }

  /**
   * Looks every limits.lookIntervalMs whether the other end is alive, and ends the connection as lost when it was silent for
   * longer than `silenceMs` says. Pings go out while it is silent, and behind messages, which they count. `onLife`: at its pings
   * and at its answers to ours, in their order among the messages.
   */
  watch(silenceMs: () => number, onLife: () => void = () => undefined): void {
    let lookedMs = performance.now();
    let pingedMs = Number.NEGATIVE_INFINITY;
    let told = -1;
    this.#heardMs = lookedMs;
    const heard = (): void => {
      this.#heardMs = performance.now();
    };
    this.#socket.on('pong', heard);
    this.#socket.on('ping', heard);
    this.#socket.on('message', heard);
    this.#socket.on('pong', onLife);
    this.#socket.on('ping', onLife);
    const timer = setInterval(() => {
      const nowMs = performance.now();
      // Who could not look could not hear either: what came meanwhile is still to be read.
      if (nowMs - lookedMs > limits.blindMs) this.#heardMs = nowMs;
      lookedMs = nowMs;
      const silentMs = nowMs - this.#heardMs;
      if (silentMs > silenceMs()) {
        const message = `silent for ${(silentMs / 1000).toFixed(1)} s`;
        this.#reason ??= { kind: 'lost', message, silent: true };
        this.#socket.terminate();
        return;
      }
      if (!this.isOpen || nowMs - pingedMs < limits.pingIntervalMs) return;
      if (silentMs > limits.pingIntervalMs / 2 || this.#sent.count !== told) {
        pingedMs = nowMs;
        told = this.#sent.count;
        this.#socket.ping(countBytes(told));
      }
    }, limits.lookIntervalMs);
    timer.unref();
    this.#socket.on('close', () => clearInterval(timer));
  }

  get isOpen(): boolean {
    return !this.#closed && this.#reason === null && this.#socket.readyState === this.#socket.OPEN;
  }

  /** Sends a message; false when the connection is no longer open (nothing is sent then). */
  send(message: MessageFrom<Local>): boolean {
    if (!this.isOpen) return false;
    this.#tensors.flush();
    this.#socket.send(encodeMessage(message as Message, this.#sent));
    return true;
  }

  /**
   * Sends a tensor message whose data is the concatenation of `parts`, without copying them: they must not change
   * until the other end has them (its answer shows it) or `onLeft` is called: then the system has taken them. It is not
   * called when the connection ends before. False when the connection is no longer open.
   */
  sendTensor(head: TensorHead, parts: readonly Uint8Array[], onLeft?: () => void): boolean {
    if (!this.isOpen) return false;
    this.#tensors.send(head, parts, onLeft);
    return true;
  }

  /** Resolves when at most `queueBytes` wait to be sent, or the connection has ended. */
  async drained(queueBytes: number = limits.sendQueueBytes): Promise<void> {
    while (this.isOpen && this.#stream.writableLength > queueBytes) {
      await new Promise<void>((resolve) => {
        const settle = (): void => {
          this.#stream.off('drain', settle);
          this.#stream.off('close', settle);
          resolve();
        };
        this.#stream.on('drain', settle);
        this.#stream.on('close', settle);
      });
    }
  }

  /** Ends it in order: what was sent before still goes out. onClose follows. */
  close(code: number = closeCodes.done, text = ''): void {
    if (this.isOpen) this.#tensors.flush();
    this.#reason ??= { kind: 'local' };
    this.#socket.resume();
    this.#finish(code, text.slice(0, 100));
  }

  /** Ends it at once. onClose follows. */
  destroy(): void {
    this.#reason ??= { kind: 'local' };
    this.#socket.terminate();
  }

  #receive(frame: Uint8Array, isBinary: boolean): void {
    if (this.#reason !== null) return;
    try {
      if (!isBinary) throw corruption('a text frame where messages are binary');
      const message = decodeMessage(frame, this.#local, this.#received);
      this.#handlers?.onMessage(message);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.refuse(error);
    }
  }

  /** A ping says how many messages came before it: a small one may have been lost by a changed opcode, with none after it. */
  #compareCount(count: Uint8Array): void {
    if (count.length !== pingBytes || readUint32(count, 0) !== this.#received.count)
      this.refuse(corruption('a ping that counts other messages than came'));
  }

  /** Ends the connection for what came in. A handler may throw the error as well. */
  refuse(error: ProtocolError): void {
    if (this.#reason !== null) return;
    this.#reason = { kind: 'protocol', error };
    this.#tap?.stop();
    this.#finish(
      error.code === 'tooLarge' ? closeCodes.tooLarge : closeCodes.protocol,
      asReason(`${error.code}: ${error.message}`),
    );
  }

  /** Says goodbye, and does not wait for ever to hear it. */
  #finish(code: number, text: string): void {
    if (this.#closed) return;
    this.#socket.close(code, text);
    this.#endSoon();
  }

  #endSoon(): void {
    this.#timer ??= setTimeout(() => this.#socket.terminate(), limits.closeTimeoutMs).unref();
  }

  #broke(error: Error & { code?: string }): void {
    this.#tap?.stop();
    this.#endSoon();
    const code = error.code ?? '';
    if (code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH')
      this.#reason ??= {
        kind: 'protocol',
        error: new ProtocolError('tooLarge', 'a frame above the limit of this connection'),
      };
    else if (code.startsWith('WS_ERR_'))
      this.#reason ??= {
        kind: 'protocol',
        error: corruption(`not a WebSocket frame (${error.message})`),
      };
    else this.#reason ??= { kind: 'lost', message: error.message, silent: false };
  }

  #ended(code: number, text: string): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#reason ??=
      code === 1006
        ? { kind: 'lost', message: 'the connection broke', silent: false }
        : { kind: 'remote', code, text: text.slice(0, 123) };
    this.#handlers?.onClose(this.#reason);
  }
}

/** What a frame that closes has room for: 123 bytes. */
const asReason = (text: string): string => text.replace(/[^ -~]/g, '?').slice(0, 123);

/** Of what a ping carries: a number of messages. */
const pingBytes = 4;

function countBytes(count: number): Uint8Array {
  const out = new Uint8Array(pingBytes);
  writeUint32(count, out, 0);
  return out;
}

/** A chunk that ends no frame shows life from this size on: in a frame whose length was changed on the way, pings go under. */
const progressBytesMin = 64;

/** Smaller ones are left to the collector. In bytes. */
const releasedChunkBytesMin = 8_192;

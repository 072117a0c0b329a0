// Tensor messages to a socket, from where the tensors lie, past the WebSocket's own sender (I/O). A large one is checked
// right before the system takes its bytes, so that they are read from memory once: what is behind waits unchecked.

import type { Socket } from 'node:net';
import { type TensorHead, tensorHeadBytes, writeTensorHead } from '../codec.ts';
import { type MessageChecks, seal } from '../seal.ts';

/** Up to here a tensor is copied behind its head: one small write is cheaper than several. In bytes. */
const smallTensorBytes = 16_384;

/** As long as less waits in the socket, one more message is given to it. In bytes. */
const aheadBytes = 524_288;

/** 2 bytes, 8 of length, 4 of masking key. */
const frameHeadBytesMax = 14;

interface Outgoing {
  /** The frame's head, and the message from `at` on as far as it is not in `parts`; not sealed. */
  readonly start: Uint8Array;
  readonly at: number;
  readonly parts: readonly Uint8Array[];
  readonly onLeft: (() => void) | undefined;
}

export class TensorSender {
  readonly #stream: Socket;
  readonly #masked: boolean;
  readonly #checks: MessageChecks;
  readonly #isOpen: () => boolean;
  #waiting: Outgoing[] = [];

  /** `masked`: frames carry a masking key, which is zero. `isOpen`: whether messages may still go out. */
  constructor(stream: Socket, masked: boolean, checks: MessageChecks, isOpen: () => boolean) {
    this.#isOpen = isOpen;
    this.#stream = stream;
    this.#masked = masked;
    this.#checks = checks;
  }

  /** See Connection.sendTensor. */
  send(head: TensorHead, parts: readonly Uint8Array[], onLeft?: () => void): void {
    const outgoing = this.#outgoing(head, parts, onLeft);
    if (this.#waiting.length > 0 || this.#stream.writableLength >= aheadBytes) this.#waiting.push(outgoing);
    else this.#write(outgoing);
    if (outgoing.parts.length === 0) onLeft?.();
  }

  /** Gives all that waits to the socket. */
  flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const outgoing of waiting) this.#write(outgoing);
  }

  #outgoing(head: TensorHead, parts: readonly Uint8Array[], onLeft: (() => void) | undefined): Outgoing {
    let dataBytes = 0;
    for (const part of parts) dataBytes += part.length;
    const messageBytes = tensorHeadBytes(head.type) + dataBytes;
    const isSmall = dataBytes <= smallTensorBytes;
    const bytes = Buffer.allocUnsafe(frameHeadBytesMax + messageBytes - (isSmall ? 0 : dataBytes));
    const at = writeFrameHead(bytes, messageBytes, this.#masked);
    let end = writeTensorHead(head, dataBytes, bytes, at);
    if (!isSmall) return { start: bytes.subarray(0, end), at, parts, onLeft };
    for (const part of parts) {
      bytes.set(part, end);
      end += part.length;
    }
    return { start: bytes.subarray(0, end), at, parts: [], onLeft };
  }

  #write({ start, at, parts, onLeft }: Outgoing): void {
    seal(start.subarray(at), parts, this.#checks);
    const stream = this.#stream;
    if (parts.length === 0) {
      stream.write(start);
      return;
    }
    stream.cork();
    stream.write(start);
    const last = parts.length - 1;
    parts.forEach((part, i) => {
      if (i < last) stream.write(part);
      else
        stream.write(part, (error) => {
          if (error) return;
          onLeft?.();
          this.#goOn();
        });
    });
    stream.uncork();
  }

  #goOn(): void {
    if (!this.#isOpen()) this.#waiting = [];
    while (this.#waiting.length > 0 && this.#stream.writableLength < aheadBytes)
      this.#write(this.#waiting.shift()!);
  }
}

/** A whole binary frame's head (RFC 6455, 5.2). Returns its length. */
function writeFrameHead(out: Buffer, payloadBytes: number, masked: boolean): number {
  const maskBit = masked ? 0x80 : 0;
  out[0] = 0x82;
  let at = 2;
  if (payloadBytes < 126) {
    out[1] = maskBit | payloadBytes;
  } else if (payloadBytes < 65_536) {
    out[1] = maskBit | 126;
    out.writeUInt16BE(payloadBytes, 2);
    at = 4;
  } else {
    out[1] = maskBit | 127;
    out.writeUInt32BE(Math.floor(payloadBytes / 2 ** 32), 2);
    out.writeUInt32BE(payloadBytes >>> 0, 6);
    at = 10;
  }
  if (masked) {
    out.writeUInt32BE(0, at);
    at += 4;
  }
  return at;
}

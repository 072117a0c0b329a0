// Between a socket and its WebSocket: takes large tensor messages as their bytes come, so that they are added or copied
// while they are in cache, and are never put together. Everything else (small frames, control frames, whatever is odd
// or wrong) is passed on to the WebSocket untouched, which judges it. No I/O here: bytes in, calls out.
// A tensor is handed on before it can be known that it is as it was sent: a receiver commits nothing before end().

import { readTensorHead, type StreamedHead, tensorHeadBytesMax, type WrittenHead } from '../codec.ts';
import { limits } from '../limits.ts';
import { corruption, type MessageChecks, sealBytes } from '../seal.ts';

/** Takes one tensor. */
export interface TensorReceiver {
  /** The next bytes, whole floats; valid during the call only, aligned to nothing. */
  write(bytes: Uint8Array): void;
  /** It was all, and is as it was sent. Not called where it is not. */
  end(): void;
}

export interface TapOptions {
  /** Whether frames that come carry a masking key. */
  readonly masked: boolean;
  readonly frameBytesMax: number;
  /** Of the messages that come; those that are passed on or given whole are counted by whoever gets them. */
  readonly checks: MessageChecks;
  /** Bytes that are the WebSocket's. */
  passOn(bytes: Uint8Array): void;
  /** Who takes this tensor; null: let the message come whole. */
  open(head: StreamedHead, dataBytes: number): TensorReceiver | null;
  /** A message that was not taken. */
  whole(message: Uint8Array): void;
  /**
   * A message did not fit its check, or a call above threw for it: it is dropped, and reading goes on. What is thrown for a
   * tensor that is on its way is told when it has come and fits its check: else it may have been thrown for a changed byte.
   */
  failed(error: unknown): void;
}

/** Takes nothing, of messages that are not wanted any more. */
const nobody: TensorReceiver = { write: () => undefined, end: () => undefined };

const finalBinary = 0x82;

export class TensorTap {
  readonly #options: TapOptions;
  #state: 'header' | 'passing' | 'head' | 'tensor' | 'whole' | 'dropping' = 'header';
  readonly #header = new Uint8Array(14);
  #headerBytes = 0;
  /** Of the frame's payload, still to come. */
  #left = 0;
  readonly #head = new Uint8Array(tensorHeadBytesMax);
  #headBytes = 0;
  #receiver: TensorReceiver = nobody;
  /** What the tensor's message says that its check is, and what it is so far. */
  #expectedCheck = 0;
  #check = 0;
  /** What was thrown for it; null: nothing. */
  #thrown: { readonly error: unknown } | null = null;
  /** The first bytes of a float whose others are in the next chunk. */
  readonly #split = new Uint8Array(4);
  #splitBytes = 0;
  #whole: Uint8Array = new Uint8Array(0);
  /** Frames of a fragmented message, or behind the end, are the WebSocket's to judge. */
  #onlyPassing = false;
  #stopped = false;
  /** Something of this chunk went to the WebSocket, which may keep it. */
  #passedOn = false;
  #frames = 0;

  constructor(options: TapOptions) {
    this.#options = options;
  }

  /** Frames that have ended, of any kind. */
  get frames(): number {
    return this.#frames;
  }

  /** Tensors that come from now on are dropped. */
  stop(): void {
    this.#stopped = true;
    if (this.#state === 'tensor') this.#state = 'dropping';
    this.#receiver = nobody;
  }

  /** True when all of the chunk was taken: nobody holds any of it. */
  write(chunk: Uint8Array): boolean {
    let at = 0;
    this.#passedOn = false;
    while (at < chunk.length) {
      if (this.#state === 'header') {
        at = this.#readHeader(chunk, at);
        continue;
      }
      const wanted = this.#state === 'head' ? this.#head.length - this.#headBytes : this.#left;
      const bytes = chunk.subarray(at, at + Math.min(wanted, this.#left));
      at += bytes.length;
      this.#left -= bytes.length;
      this.#take(bytes);
      if (this.#left === 0) this.#endFrame();
    }
    return !this.#passedOn;
  }

  #take(bytes: Uint8Array): void {
    switch (this.#state) {
      case 'passing':
        this.#guard(() => this.#pass(bytes));
        break;
      case 'head':
        this.#head.set(bytes, this.#headBytes);
        this.#headBytes += bytes.length;
        if (this.#headBytes === this.#head.length) this.#openMessage();
        break;
      case 'tensor':
        this.#check = this.#options.checks.more(bytes, this.#check);
        this.#feed(bytes);
        break;
      case 'whole':
        this.#whole.set(bytes, this.#whole.length - this.#left - bytes.length);
        break;
      default:
    }
  }

  #pass(bytes: Uint8Array): void {
    this.#passedOn = true;
    this.#options.passOn(bytes);
  }

  #endFrame(): void {
    const state = this.#state;
    this.#frames += 1;
    this.#state = 'header';
    this.#headerBytes = 0;
    if (state === 'tensor' && !this.#stopped) {
      const receiver = this.#receiver;
      this.#receiver = nobody;
      if (this.#check !== this.#expectedCheck) this.#options.failed(corruption());
      else if (this.#thrown !== null) this.#options.failed(this.#thrown.error);
      else this.#guard(() => receiver.end());
    } else if (state === 'whole') {
      const whole = this.#whole;
      this.#whole = new Uint8Array(0);
      if (!this.#stopped) this.#guard(() => this.#options.whole(whole));
    }
  }

  #guard(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#options.failed(error);
    }
  }

  /** Reads on in a frame's header (RFC 6455, 5.2) and, when it is whole, decides whose the frame is. */
  #readHeader(chunk: Uint8Array, from: number): number {
    const header = this.#header;
    let at = from;
    while (at < chunk.length) {
      header[this.#headerBytes++] = chunk[at++]!;
      if (this.#headerBytes < headerBytes(header, this.#headerBytes)) continue;
      const payload = payloadBytes(header);
      this.#left = payload;
      if (this.#isForUs(payload)) {
        this.#state = 'head';
        this.#headBytes = 0;
      } else {
        this.#noteOpcode();
        const start = at - this.#headerBytes;
        const end = Math.min(chunk.length, at + payload);
        const isHere = start >= from;
        this.#pass(isHere ? chunk.subarray(start, end) : header.slice(0, this.#headerBytes));
        if (isHere) {
          this.#left -= end - at;
          at = end;
        }
        this.#state = 'passing';
        if (this.#left === 0) this.#endFrame();
      }
      break;
    }
    return at;
  }

  #isForUs(payload: number): boolean {
    const { masked, frameBytesMax } = this.#options;
    const header = this.#header;
    const isMasked = (header[1]! & 0x80) !== 0;
    const end = this.#headerBytes;
    return (
      !this.#onlyPassing &&
      header[0] === finalBinary &&
      payload >= limits.streamedMessageBytesMin &&
      payload <= frameBytesMax &&
      isMasked === masked &&
      (!masked || (header[end - 1]! | header[end - 2]! | header[end - 3]! | header[end - 4]!) === 0)
    );
  }

  #noteOpcode(): void {
    const opcode = this.#header[0]! & 0x0f;
    const isFinal = (this.#header[0]! & 0x80) !== 0;
    if (opcode === 8 || (opcode < 8 && !isFinal)) this.#onlyPassing = true;
  }

  #openMessage(): void {
    const payload = this.#headBytes + this.#left;
    if (this.#stopped) {
      this.#state = 'dropping';
      return;
    }
    const read = readTensorHead(this.#head);
    if (read !== null && read.headBytes + read.dataBytes === payload) {
      const receiver = this.#receiverOf(read);
      if (receiver !== null) {
        this.#state = 'tensor';
        this.#receiver = receiver;
        this.#splitBytes = 0;
        this.#expectedCheck = read.check;
        this.#check = this.#options.checks.begin(this.#head.subarray(sealBytes));
        this.#feed(this.#head.subarray(read.headBytes));
        return;
      }
    }
    this.#state = 'whole';
    this.#whole = new Uint8Array(payload);
    this.#whole.set(this.#head);
  }

  #receiverOf({ head, dataBytes }: WrittenHead): TensorReceiver | null {
    this.#thrown = null;
    try {
      return this.#options.open(head, dataBytes);
    } catch (error) {
      this.#thrown = { error };
      return nobody;
    }
  }

  #feed(bytes: Uint8Array): void {
    try {
      this.#handOn(bytes);
    } catch (error) {
      this.#thrown ??= { error };
      this.#receiver = nobody;
    }
  }

  /** Hands on whole floats; what is cut off waits for the next chunk. */
  #handOn(bytes: Uint8Array): void {
    const split = this.#split;
    let at = 0;
    while (this.#splitBytes > 0 && at < bytes.length) {
      split[this.#splitBytes++] = bytes[at++]!;
      if (this.#splitBytes === split.length) {
        this.#splitBytes = 0;
        this.#receiver.write(split);
      }
    }
    const end = bytes.length - ((bytes.length - at) % split.length);
    if (end > at) this.#receiver.write(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end));
    for (let i = Math.max(at, end); i < bytes.length; i++) split[this.#splitBytes++] = bytes[i]!;
  }
}

/** Length of the header as far as its first `have` bytes tell: more than `have` until it is whole. */
function headerBytes(header: Uint8Array, have: number): number {
  if (have < 2) return 2;
  const form = header[1]! & 0x7f;
  return 2 + (form === 126 ? 2 : form === 127 ? 8 : 0) + (header[1]! & 0x80 ? 4 : 0);
}

function payloadBytes(header: Uint8Array): number {
  const form = header[1]! & 0x7f;
  if (form < 126) return form;
  let value = 0;
  for (let i = 2; i < (form === 126 ? 4 : 10); i++) value = value * 256 + header[i]!;
  return value;
}

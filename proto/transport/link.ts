// What a conversation needs of a connection, and a pair of ends in memory for a run inside of one process: the same
// messages, no sockets. Connection (connection.ts) is the other implementation.

import { isMisconduct } from '../error.ts';
import type { Across, End, MessageFrom } from '../messages.ts';
import { type CloseReason, type ConnectionHandlers, closeCodes } from './connection.ts';

export interface Link<Local extends End> {
  readonly remoteAddress: string;
  /** Lets messages flow to these handlers. Call once. */
  start(handlers: ConnectionHandlers<Local>): void;
  /** False when it is no longer open. */
  send(message: MessageFrom<Local>): boolean;
  /** Resolves when at most `queueBytes` (limits.sendQueueBytes unless given) wait to be sent, or it has ended. */
  drained(queueBytes?: number): Promise<void>;
  close(code?: number, text?: string): void;
  /** Ends the connection as lost when the other end is silent for longer than this, in milliseconds; `onLife`: see Connection. */
  watch(silenceMs: () => number, onLife?: () => void): void;
}

class MemoryEnd<Local extends End> implements Link<Local> {
  readonly remoteAddress = 'this process';
  #handlers: ConnectionHandlers<Local> | null = null;
  #other: MemoryEnd<Across<Local>> | null = null;
  #waiting: (() => void)[] = [];
  #open = true;

  join(other: MemoryEnd<Across<Local>>): void {
    this.#other = other;
  }

  start(handlers: ConnectionHandlers<Local>): void {
    this.#handlers = handlers;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const deliver of waiting) setImmediate(deliver);
  }

  send(message: MessageFrom<Local>): boolean {
    const other = this.#other as MemoryEnd<End> | null;
    if (!this.#open || other === null) return false;
    other.#deliver((handlers) => handlers.onMessage(message as never));
    return true;
  }

  /** Both ends are this process. */
  watch(): void {}

  async drained(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
  }

  close(code: number = closeCodes.done, text = ''): void {
    if (!this.#open) return;
    this.#ended({ kind: 'local' });
    const other = this.#other as MemoryEnd<End> | null;
    if (other !== null) other.#ended({ kind: 'remote', code, text });
  }

  #ended(reason: CloseReason): void {
    if (!this.#open) return;
    this.#open = false;
    this.#deliver((handlers) => handlers.onClose(reason));
  }

  /** Always later, and in order: a sender is never re-entered. */
  #deliver(tell: (handlers: ConnectionHandlers<Local>) => void): void {
    const deliver = (): void => {
      if (this.#handlers !== null) tell(this.#handlers);
    };
    if (this.#handlers === null) this.#waiting.push(deliver);
    else setImmediate(deliver);
  }
}

/** Two ends of one conversation inside of this process. */
export function memoryPair(): { readonly coordinator: Link<'coordinator'>; readonly worker: Link<'worker'> } {
  const coordinator = new MemoryEnd<'coordinator'>();
  const worker = new MemoryEnd<'worker'>();
  coordinator.join(worker);
  worker.join(coordinator);
  return { coordinator, worker };
}

const isRefusal = (code: number): boolean => code === closeCodes.protocol || code === closeCodes.tooLarge;

/** It ended on the way, or for what the way did to the messages: neither end wanted that. */
export function isBroken(reason: CloseReason): boolean {
  switch (reason.kind) {
    case 'local':
      return false;
    case 'remote':
      return reason.code === closeCodes.protocol;
    case 'lost':
      return true;
    case 'protocol':
      return !isMisconduct(reason.error.code);
    default:
      return reason satisfies never;
  }
}

/** Why a connection ended, for people: what follows "it is gone: ". */
export function closeText(reason: CloseReason): string {
  switch (reason.kind) {
    case 'local':
      return 'closed here';
    case 'remote':
      if (isRefusal(reason.code))
        return `it refused what it was sent: ${reason.text || 'it did not say why'}`;
      return reason.text || 'it closed the connection';
    case 'lost':
      return reason.message;
    case 'protocol':
      return isMisconduct(reason.error.code)
        ? `it sent what it must not: ${reason.error.message}`
        : reason.error.message;
    default:
      return reason satisfies never;
  }
}

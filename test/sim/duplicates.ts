// Which messages come a second time in a simulated run, later on the same connection. TCP does not do that; but what is keyed
// is idempotent by contract, so that retries, speculation and audits may be built on it. What is not says why.

import type { MessageType } from '../../proto/messages.ts';

/**
 * `again`: the receiver must not care, however late it is; `soon`: within a few messages, as an older one is a replay. Else: why a
 * second copy is the sender's mistake, and what a sane receiver does.
 */
const secondCopies: { readonly [T in MessageType]: 'again' | 'soon' | { readonly why: string } } = {
  hello: { why: 'opens a connection: a second one is refused; one on another connection replaces the first' },
  welcome: { why: 'answers one hello; the worker ends the run as the coordinator has lost its mind' },
  refused: 'again',
  dataRequest: { why: 'asks for the whole data set: a second one is refused, it would double the traffic' },
  dataPiece: { why: 'a stream, whose order is its key: a piece out of turn ends the connection' },
  membership: 'again',
  standing: 'again',
  align: { why: 'what follows it depends on it: after the start it has no place, and the worker fails' },
  ready: 'again',
  start: { why: 'begins steps: a second one has no place, and the worker fails' },
  suspect: 'again',
  accuse: 'again',
  leave: 'again',
  released: 'again',
  statePiece: { why: 'a stream, whose order is its key: a piece out of turn ends the connection' },
  report: 'soon',
  digest: 'again',
  evaluation: 'soon',
  stop: 'again',
  finished: 'again',
  done: 'again',
  failure: 'again',
  peerHello: { why: 'opens a connection: a second one ends it' },
  partial: 'soon',
  sum: 'soon',
  exchange: 'soon',
  shardReport: 'soon',
};

export interface SecondCopy {
  readonly message: unknown;
  readonly when: 'again' | 'soon';
}

/** A copy with memory of its own; null where there is none. */
export function secondCopyOf(message: unknown): SecondCopy | null {
  const when = secondCopies[(message as { readonly type: MessageType }).type];
  return typeof when === 'string' ? { message: structuredClone(message), when } : null;
}

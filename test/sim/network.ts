// A seeded network of connections like TCP: in order within one connection and in any order across, late, cut one way or
// both ways (what is sent then comes when the way is open again), and lost. What a process sent before it was killed may come.
// Unlike TCP it also brings copies of messages that may come twice (duplicates.ts).

import { limits } from '../../proto/limits.ts';
import type { Clock, Host, Random } from './clock.ts';
import { type SecondCopy, secondCopyOf } from './duplicates.ts';

export type CloseKind = 'local' | 'remote' | 'lost' | 'protocol';

export interface EndHandlers {
  onMessage(message: unknown): void;
  /** Once. `local`: this end closed it; `protocol`: for what came in. */
  onClose(kind: CloseKind, why: string): void;
}

export interface Weather {
  delayMsMin: number;
  delayMsMax: number;
  /** Share of the messages that come again, where that is allowed. */
  duplicates: number;
}

/** A sender of bulk data waits while more than this is on its way, in bytes: small, as the states are. */
export const bulkBytesMax = 64;

export class Network {
  readonly clock: Clock;
  readonly random: Random;
  readonly weather: Weather;
  /** One way each: `from>to`. */
  readonly #cut = new Set<string>();
  /** Milliseconds more, one way each. */
  readonly #clogged = new Map<string, number>();
  readonly #listeners = new Map<string, { readonly host: Host; readonly accept: (end: End) => void }>();
  readonly #pairs = new Set<Pair>();
  inFlightMost = 0;
  /** Most bytes of bulk data in one direction of a connection. */
  bulkBytesMost = 0;

  constructor(clock: Clock, random: Random, weather: Weather) {
    this.clock = clock;
    this.random = random;
    this.weather = weather;
  }

  delayMs(from: string, to: string): number {
    const { delayMsMin, delayMsMax } = this.weather;
    return this.random.between(delayMsMin, delayMsMax) + (this.#clogged.get(`${from}>${to}`) ?? 0);
  }

  isCut(from: string, to: string): boolean {
    return this.#cut.has(`${from}>${to}`);
  }

  cut(from: string, to: string): void {
    this.#cut.add(`${from}>${to}`);
  }

  mend(from: string, to: string): void {
    if (!this.#cut.delete(`${from}>${to}`)) return;
    for (const pair of [...this.#pairs]) pair.mended();
  }

  clog(from: string, to: string, ms: number): void {
    if (ms > 0) this.#clogged.set(`${from}>${to}`, ms);
    else this.#clogged.delete(`${from}>${to}`);
  }

  healAll(): void {
    this.#clogged.clear();
    this.#cut.clear();
    this.weather.duplicates = 0;
    for (const pair of [...this.#pairs]) pair.mended();
  }

  listen(host: Host, accept: (end: End) => void): void {
    this.#listeners.set(host.name, { host, accept });
    host.onKilled(() => {
      if (this.#listeners.get(host.name)?.host === host) this.#listeners.delete(host.name);
    });
  }

  /** `opened` or `failed`, once. A stopped process is connected to: its kernel answers. */
  dial(from: Host, to: string, opened: (end: End) => void, failed: (why: string) => void): void {
    const startedMs = this.clock.nowMs;
    const attempt = (): void => {
      if (this.isCut(from.name, to) || this.isCut(to, from.name)) {
        if (this.clock.nowMs - startedMs > limits.connectTimeoutMs) from.run(() => failed('no answer'));
        else this.clock.after(250, attempt);
        return;
      }
      const listener = this.#listeners.get(to);
      if (listener === undefined) {
        from.after(this.delayMs(to, from.name), () => failed('connection refused'));
        return;
      }
      if (!from.isAlive) return;
      const pair = new Pair(this, from, listener.host);
      this.#pairs.add(pair);
      listener.host.run(() => listener.accept(pair.acceptor));
      from.after(this.delayMs(to, from.name), () => opened(pair.dialler));
    };
    this.clock.after(this.delayMs(from.name, to), attempt);
  }

  /** One connection of these two breaks; false where there is none. */
  breakOne(a: string, b: string): boolean {
    const found = [...this.#pairs].filter((pair) => pair.isBetween(a, b));
    if (found.length === 0) return false;
    this.random.pick(found).break('connection reset');
    return true;
  }

  forget(pair: Pair): void {
    this.#pairs.delete(pair);
  }

  sent(inFlight: number, bulkBytes: number): void {
    this.inFlightMost = Math.max(this.inFlightMost, inFlight);
    this.bulkBytesMost = Math.max(this.bulkBytesMost, bulkBytes);
  }
}

type Item =
  | { readonly message: unknown; readonly bulkBytes: number }
  | { readonly lost: boolean; readonly why: string };

function bulkBytesOf(message: unknown): number {
  const { type, bytes } = message as { readonly type: string; readonly bytes?: Uint8Array };
  return type === 'statePiece' ? bytes!.length : 0;
}

class Pair {
  readonly network: Network;
  readonly dialler: End;
  readonly acceptor: End;

  constructor(network: Network, from: Host, to: Host) {
    this.network = network;
    this.dialler = new End(this, from);
    this.acceptor = new End(this, to);
    this.dialler.other = this.acceptor;
    this.acceptor.other = this.dialler;
    from.onKilled(() => this.#killed(this.dialler));
    to.onKilled(() => this.#killed(this.acceptor));
  }

  isBetween(a: string, b: string): boolean {
    const names = [this.dialler.host.name, this.acceptor.host.name];
    return this.dialler.isOpen && this.acceptor.isOpen && names.includes(a) && names.includes(b);
  }

  break(why: string): void {
    for (const end of [this.dialler, this.acceptor]) end.reset(why);
  }

  mended(): void {
    this.dialler.flush();
    this.acceptor.flush();
  }

  #killed(end: End): void {
    end.died();
    if (!this.dialler.host.isAlive && !this.acceptor.host.isAlive) this.network.forget(this);
  }
}

/** One end: what is said here comes out at the other. */
export class End {
  readonly host: Host;
  readonly #pair: Pair;
  other!: End;
  #handlers: EndHandlers | null = null;
  #open = true;
  #early: (() => void)[] = [];
  /** On its way to this end, in order. */
  readonly #incoming: Item[] = [];
  /** Due, but the way is cut. */
  #held = 0;
  #newestAtMs = 0;
  /** By the clock of this host. */
  #heardMs: number;
  #wakes: number;
  /** On its way to this end, in bytes. */
  #bulkBytes = 0;
  #draining: (() => void)[] = [];
  /** Second copies, each to follow when so many more messages were sent. */
  #copies: { readonly message: unknown; after: number }[] = [];

  constructor(pair: Pair, host: Host) {
    this.#pair = pair;
    this.host = host;
    this.#heardMs = host.nowMs;
    this.#wakes = host.wakesThatHear;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  start(handlers: EndHandlers): void {
    this.#handlers = handlers;
    for (const act of this.#early.splice(0)) act();
  }

  send(message: unknown): boolean {
    if (!this.#open) return false;
    const { random, weather } = this.#pair.network;
    this.other.#enqueue({ message, bulkBytes: bulkBytesOf(message) });
    this.#sendCopies();
    if (weather.duplicates > 0 && random.chance(weather.duplicates)) this.#copy(secondCopyOf(message));
    return true;
  }

  /** Comes at any time, or after at most three of the messages that follow. */
  #copy(copy: SecondCopy | null): void {
    if (copy === null) return;
    const { random, clock } = this.#pair.network;
    if (copy.when === 'soon') {
      this.#copies.push({ message: copy.message, after: random.below(4) });
      return;
    }
    clock.after(random.magnitude(0.01, 2_000), () => {
      if (this.#open && this.host.isAlive) this.other.#enqueue({ message: copy.message, bulkBytes: 0 });
    });
  }

  #sendCopies(): void {
    if (this.#copies.length === 0) return;
    for (const copy of this.#copies) copy.after -= 1;
    for (const { message } of this.#copies.filter(({ after }) => after < 0))
      this.other.#enqueue({ message, bulkBytes: 0 });
    this.#copies = this.#copies.filter(({ after }) => after >= 0);
  }

  /** `act` when so much of the bulk data has left that more may be sent, or nothing can be any more. */
  drained(act: () => void): void {
    if (this.#open && this.other.#bulkBytes > bulkBytesMax) this.#draining.push(act);
    else this.host.after(1, act);
  }

  /** Ends it for what came in. */
  refuse(why: string): void {
    if (!this.#open) return;
    this.other.#enqueue({ lost: false, why });
    this.#ended('protocol', why);
  }

  close(why = ''): void {
    if (!this.#open) return;
    this.other.#enqueue({ lost: false, why });
    this.#ended('local', why);
  }

  /** Ends it here as lost: the other end hears so when it can. */
  terminate(why: string): void {
    if (!this.#open) return;
    this.other.#enqueue({ lost: true, why: 'connection reset' });
    this.#ended('lost', why);
  }

  /** The process of this end was killed: what it sent may still come, or some of it. */
  died(): void {
    if (!this.#open) return;
    this.#open = false;
    const { random } = this.#pair.network;
    if (random.chance(0.5)) this.other.#dropSome();
    this.other.#enqueue({ lost: true, why: 'the process across ended' });
  }

  /** The connection broke; each end hears of it in its own time. */
  reset(why: string): void {
    if (!this.#open) return;
    this.#dropSome();
    this.#enqueue({ lost: true, why });
  }

  /** Ends this end as lost when nothing was heard for longer than this. */
  watch(silenceMs: () => number, onLife: () => void = () => undefined): void {
    const { network } = this.#pair;
    const look = (): void => {
      if (!this.#open) return;
      const { host } = this.other;
      const hears = this.other.#open && host.isAlive && !host.isStopped;
      const isHeard = hears && !network.isCut(host.name, this.host.name);
      // Whoever wakes and reads first finds a sign of life there.
      if (isHeard && this.#wakes !== this.host.wakesThatHear) this.#heardMs = this.host.nowMs;
      this.#wakes = this.host.wakesThatHear;
      const silentMs = this.host.nowMs - this.#heardMs;
      if (silentMs > silenceMs()) {
        this.terminate(`silent for ${(silentMs / 1000).toFixed(1)} s`);
        return;
      }
      if (isHeard) {
        this.#heardMs = this.host.nowMs;
        onLife();
      }
      this.host.timer(limits.lookIntervalMs, look);
    };
    this.host.timer(limits.lookIntervalMs, look);
  }

  flush(): void {
    const { network } = this.#pair;
    while (this.#held > 0 && !network.isCut(this.other.host.name, this.host.name)) {
      this.#held -= 1;
      this.#deliverNext();
    }
  }

  #dropSome(): void {
    for (const item of this.#incoming.splice(this.#pair.network.random.below(this.#incoming.length + 1)))
      this.#left(item);
  }

  /** It is on its way no longer. */
  #left(item: Item): void {
    if (!('message' in item) || item.bulkBytes === 0) return;
    this.#bulkBytes -= item.bulkBytes;
    this.other.#letMore();
  }

  #letMore(): void {
    if (!this.#open || this.other.#bulkBytes <= bulkBytesMax)
      for (const act of this.#draining.splice(0)) this.host.after(1, act);
  }

  #enqueue(item: Item): void {
    const { network } = this.#pair;
    const { clock } = network;
    this.#incoming.push(item);
    if ('message' in item) this.#bulkBytes += item.bulkBytes;
    network.sent(this.#incoming.length, this.#bulkBytes);
    const atMs = Math.max(
      this.#newestAtMs,
      clock.nowMs + network.delayMs(this.other.host.name, this.host.name),
    );
    this.#newestAtMs = atMs;
    clock.after(atMs - clock.nowMs, () => {
      if (network.isCut(this.other.host.name, this.host.name)) this.#held += 1;
      else this.#deliverNext();
    });
  }

  #deliverNext(): void {
    const item = this.#incoming.shift();
    if (item === undefined || !this.#open) return;
    this.host.run(() => {
      this.#left(item);
      if (!this.#open) return;
      this.#heardMs = this.host.nowMs;
      if ('message' in item) this.#tell((handlers) => handlers.onMessage(item.message));
      else this.#ended(item.lost ? 'lost' : 'remote', item.why);
    });
  }

  #ended(kind: CloseKind, why: string): void {
    this.#open = false;
    this.#letMore();
    if (!this.other.#open) this.#pair.network.forget(this.#pair);
    // Later, as a socket does: whoever closes it is not called back in the middle of what it does.
    this.host.after(0, () => this.#tell((handlers) => handlers.onClose(kind, why)));
  }

  #tell(act: (handlers: EndHandlers) => void): void {
    const handlers = this.#handlers;
    if (handlers === null) this.#early.push(() => act(this.#handlers!));
    else act(handlers);
  }
}

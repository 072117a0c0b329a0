// Every connection of a cluster goes through proxies that delay, narrow, cut up, pause, cut short, reset and damage what
// passes, on a plan drawn from a seed. The run goes on, and ends with the weights of the quiet run. LOCKSTEP_CHAOS_SECONDS and
// LOCKSTEP_CHAOS_SEED make it longer, or another one.

import { createServer, connect as dial, type Server } from 'node:net';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../e2e/command-line.ts';
import { OpenRun } from './open-run.ts';
import { FaultyProxy } from './proxy.ts';
import { type Mishap, type MishapKind, mishapKinds, mishapsOf, wireOf } from './weather.ts';

const seconds = Number(process.env.LOCKSTEP_CHAOS_SECONDS ?? 6);
const seed = Number(process.env.LOCKSTEP_CHAOS_SEED ?? 1);
const secondMs = 1000;
const testTimeoutMs = (120 + 3 * seconds) * secondMs;
const workers = 3;
const kinds = mishapKinds;
/** Addresses of loopback that nobody else listens at; macOS has but one. */
const why = process.platform === 'linux' ? null : `${process.platform} has one loopback address`;
if (why !== null) process.stdout.write(`proxies: skipped, ${why}\n`);

const directory = temporaryDirectory();
afterAll(() => directory.remove());

describe('a proxy', () => {
  const head = 'GET / HTTP/1.1\r\n\r\n';
  const bytes = Buffer.from(Array.from({ length: 5_000 }, (_, i) => i % 251));
  let server: Server | null = null;
  let proxy: FaultyProxy | null = null;

  afterEach(async () => {
    await proxy?.close();
    await new Promise((resolve) => server?.close(resolve));
  });

  /** What the listener gets of head and bytes, and how it ends; the mishap strikes when both ends have said their heads. */
  async function sent(
    mishap: Partial<Mishap> | null,
  ): Promise<{ readonly got: Buffer; readonly end: string }> {
    const chunks: Buffer[] = [];
    let ended: (end: string) => void = () => undefined;
    const end = new Promise<string>((resolve) => {
      ended = resolve;
    });
    server = createServer((socket) => {
      socket.on('data', (chunk) => {
        if (chunks.length === 0) socket.write(head);
        chunks.push(chunk);
      });
      socket.on('end', () => ended('end'));
      socket.on('error', (error: NodeJS.ErrnoException) => ended(error.code ?? error.message));
    });
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    proxy = await FaultyProxy.open({
      target: () => ({ host: '127.0.0.1', port }),
      wire: (connection, up) => wireOf(seed, 0, connection, up),
    });
    const socket = dial({ port: proxy.port, host: '127.0.0.1' });
    socket.on('error', () => undefined);
    socket.write(head);
    await new Promise((resolve) => socket.once('data', resolve));
    if (mishap !== null) {
      const base: Mishap = {
        kind: 'flip',
        atMs: 0,
        afterBytes: 1_234,
        connection: 0,
        towards: 'listener',
        amount: 3,
      };
      expect(proxy.open).toHaveLength(1);
      proxy.open[0]!.strike({ ...base, ...mishap }, () => undefined);
    }
    socket.end(bytes);
    const how = await end;
    return { got: Buffer.concat(chunks).subarray(head.length), end: how };
  }

  it('passes every byte', async () => {
    expect(await sent(null)).toEqual({ got: bytes, end: 'end' });
  });

  it('cuts up, and passes every byte', async () => {
    expect(await sent({ kind: 'fragments', amount: 400 })).toEqual({ got: bytes, end: 'end' });
  });

  it('pauses, and passes every byte', async () => {
    expect(await sent({ kind: 'pause', amount: 100 })).toEqual({ got: bytes, end: 'end' });
  });

  it('flips one bit', async () => {
    const flipped = Buffer.from(bytes);
    flipped[1_234] = flipped[1_234]! ^ 8;
    expect(await sent({ kind: 'flip' })).toEqual({ got: flipped, end: 'end' });
  });

  it('ends a connection in the middle', async () => {
    expect(await sent({ kind: 'truncation' })).toEqual({ got: bytes.subarray(0, 1_234), end: 'end' });
  });

  it('resets a connection', async () => {
    const { got, end } = await sent({ kind: 'reset' });
    expect(end).toBe('ECONNRESET');
    expect(got.length).toBeLessThanOrEqual(1_234);
  });
});

/** A cluster behind proxies: one before the coordinator, one before each worker. */
class ProxiedRun {
  /** Never one worker alone: it would not need the wires. */
  readonly run = new OpenRun(directory.path, seed, { workers, more: ['--min-workers', '2'] });
  /** The first is the coordinator's, the others the workers'. */
  readonly proxies: FaultyProxy[] = [];
  readonly happened = new Map<MishapKind, number>();
  /** Ends of workers, each followed by another worker in its place. */
  readonly ends: string[] = [];
  /** Workers that came when too few were left. */
  reinforcements = 0;
  readonly #timers: NodeJS.Timeout[] = [];
  #over = false;

  async start(): Promise<void> {
    await this.run.cluster.startCoordinator(false);
    const { hostname, port } = new URL(this.run.cluster.url);
    await this.#open(() => ({ host: hostname, port: Number(port) }));
    const formed = this.run.membership(workers);
    for (let i = 0; i < workers; i += 1) await this.#addWorker();
    await formed;
    void this.#reinforce();
  }

  async #addWorker(): Promise<void> {
    const i = this.proxies.length;
    const proxy: FaultyProxy = await this.#open(() => ({ host: hostOf(i), port: proxy.port }));
    this.#startWorker(i);
  }

  /** The port of its proxy is that of the worker, at another address: nobody else has it there. */
  #startWorker(i: number): void {
    const { port } = this.proxies[i]!;
    const worker = this.run.cluster.startWorker({
      joinUrl: `ws://127.0.0.1:${this.proxies[0]!.port}`,
      more: ['--listen', `${hostOf(i)}:${port}`, '--advertise', `127.0.0.1:${port}`],
    });
    void worker.ended.then((code) => {
      if (this.#over) return;
      this.ends.push(`${code}: ${worker.stderr.trimEnd().split('\n').at(-1)}`);
      this.#startWorker(i);
    });
  }

  /** Workers whose connections break are kept out for a while: another one comes where too few are left. */
  async #reinforce(): Promise<void> {
    const { cluster } = this.run;
    for (;;) {
      await cluster.next(({ event }) => event.event === 'notice' && /the run pauses/.test(event.message));
      if (this.#over) return;
      this.reinforcements += 1;
      await this.#addWorker();
    }
  }

  async #open(target: () => { readonly host: string; readonly port: number }): Promise<FaultyProxy> {
    const number = this.proxies.length;
    const wire = (connection: number, up: boolean) => wireOf(seed, number, connection, up);
    const proxy = await FaultyProxy.open({ target, wire });
    this.proxies.push(proxy);
    return proxy;
  }

  /** Resolves when the weather is over. */
  async storm(durationMs: number): Promise<void> {
    for (const mishap of mishapsOf(seed, durationMs, kinds)) {
      const strike = (): void => {
        const open = this.proxies.flatMap((proxy) => proxy.open);
        open[mishap.connection % open.length]?.strike(mishap, () =>
          this.happened.set(mishap.kind, (this.happened.get(mishap.kind) ?? 0) + 1),
        );
      };
      this.#timers.push(setTimeout(strike, mishap.atMs));
    }
    await new Promise((resolve) => this.#timers.push(setTimeout(resolve, durationMs)));
    for (const proxy of this.proxies) proxy.calm();
  }

  /** From now on workers may end. */
  over(): void {
    this.#over = true;
  }

  async end(): Promise<void> {
    this.over();
    for (const timer of this.#timers) clearTimeout(timer);
    await this.run.cluster.end();
    for (const proxy of this.proxies) await proxy.close();
  }
}

const hostOf = (worker: number): string => `127.${100 + (process.pid % 100)}.${process.pid % 251}.${worker}`;

it.skipIf(why !== null)(
  'a cluster behind bad wires',
  async () => {
    const proxied = new ProxiedRun();
    const { run } = proxied;
    try {
      await proxied.start();
      await run.steps(5);
      await proxied.storm(seconds * secondMs);
      await run.steps(10);
      proxied.over();
      const done = await run.stop();
      const counts = [...proxied.happened].map(([kind, count]) => `${kind} ${count}`);
      process.stdout.write(
        `bad wires, seed ${seed}: ${counts.join(', ')}; ${done.steps} steps in ${run.generation} generations, ` +
          `longest standstill ${run.longestStandstillMs.toFixed(0)} ms, ${proxied.ends.length} workers replaced, ${proxied.reinforcements} more came, ` +
          `connections of each proxy ${proxied.proxies.map(({ connections }) => connections).join(', ')}\n` +
          proxied.ends.map((end) => `  ${end}\n`).join(''),
      );
      expect(done.weightsSha256).toBe(await run.quietSha256(done.steps));
      expect(run.cluster.logs).not.toMatch(/^\s+at /m);
      // What a wire did is nobody's misconduct.
      expect(run.cluster.logs).not.toMatch(/is kept out of this run/);
      // Workers meet through the proxies, too.
      expect(proxied.proxies.slice(1).some(({ connections }) => connections > 0)).toBe(true);
    } finally {
      await proxied.end();
    }
  },
  testTimeoutMs,
);

// Hosts on a network of their own, which a packet filter cuts in every way that cables, switches and firewalls know: silent
// and told, both ways and one way, one host and one pair. The run goes on without whom it must, takes it in again when the
// cut heals, and ends with the weights of the quiet run. LOCKSTEP_CHAOS_SECONDS and LOCKSTEP_CHAOS_SEED make it longer, or
// another one.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { temporaryDirectory } from '../e2e/command-line.ts';
import { Random } from '../sim/clock.ts';
import { type Cut, Network, whyNoNamespaces } from './namespaces.ts';
import { OpenRun } from './open-run.ts';

const seconds = Number(process.env.LOCKSTEP_CHAOS_SECONDS ?? 0);
const seed = Number(process.env.LOCKSTEP_CHAOS_SEED ?? 1);
const testTimeoutMs = 240_000 + 3_000 * seconds;

/** Generous: a machine with other work, too. A host that is cut off while the members form is given 5.5 s of it. */
const standstillMsMax = 15_000;

const workers = ['a', 'b', 'c'] as const;
const hosts = ['coordinator', ...workers];

const both = (cut: Cut): Cut[] => [cut, { ...cut, from: cut.to, to: cut.from }];
const drop = (from: string | null, to: string | null): Cut => ({ from, to, how: 'drop' });

interface Fault {
  readonly name: string;
  readonly cuts: readonly Cut[];
  /** Workers that are left; 0: the coordinator loses all, and they go on by themselves. */
  readonly left: number;
  /** Not in the short run. */
  readonly long?: true;
}

const faults: readonly Fault[] = [
  { name: 'a worker cut from everybody', cuts: both(drop('a', null)), left: 2 },
  { name: "a worker's packets are lost", cuts: [drop('b', null)], left: 2 },
  { name: 'packets to a worker are lost', cuts: [drop(null, 'c')], left: 2, long: true },
  { name: "a worker's connections are reset", cuts: both({ from: 'c', to: null, how: 'reset' }), left: 2 },
  { name: 'two workers cut off', cuts: [...both(drop('a', null)), ...both(drop('b', null))], left: 1 },
  { name: 'the coordinator cut from everybody', cuts: both(drop('coordinator', null)), left: 0 },
  { name: "the coordinator's packets are lost", cuts: [drop('coordinator', null)], left: 0, long: true },
  { name: 'packets to the coordinator are lost', cuts: [drop(null, 'coordinator')], left: 0, long: true },
  { name: 'two workers cut from each other', cuts: both(drop('a', 'b')), left: 2, long: true },
  { name: 'packets of one worker to another are lost', cuts: [drop('c', 'b')], left: 2 },
];

const directory = temporaryDirectory();
const why = whyNoNamespaces();
if (why !== null) process.stdout.write(`network namespaces: skipped, ${why}\n`);
let network: Network;
let run: OpenRun;

beforeAll(async () => {
  if (why !== null) return;
  network = new Network(hosts);
  run = new OpenRun(directory.path, seed, {
    workers: workers.length,
    host: network.address('coordinator'),
    inside: network.inside('coordinator'),
    more: ['--insecure'],
  });
  const formed = run.membership(workers.length);
  await run.cluster.startCoordinator(false);
  for (const worker of workers) {
    const more = ['--listen', `${network.address(worker)}:0`, '--insecure'];
    run.cluster.startWorker({ inside: network.inside(worker), more });
  }
  await formed;
});

afterAll(async () => {
  if (why === null) {
    await run?.cluster.end();
    network?.remove();
    expect(Network.left()).toEqual([]);
  }
  directory.remove();
});

/** A fault that lasts until the run went on without whom it lost, and back to all workers. */
async function suffer({ name, cuts, left }: Fault): Promise<void> {
  await run.steps(20);
  const noticed = left === 0 ? run.pause() : run.membership(left);
  network.cut(cuts);
  const cutMs = performance.now();
  const before = run.cluster.step;
  const { atMs: noticedMs } = await noticed;
  const figures = [`noticed after ${(noticedMs - cutMs).toFixed(0)} ms`];
  if (left > 0) {
    const again = await run.steps(1);
    figures.push(`next step after ${(again.atMs - cutMs).toFixed(0)} ms`);
    await run.steps(20);
  }
  const whole = run.membership(workers.length);
  network.cut([]);
  const healedMs = performance.now();
  const first = left === 0 ? run.steps(1) : null;
  await whole;
  const back = await run.steps(1);
  figures.push(`healed to a step of all ${(back.atMs - healedMs).toFixed(0)} ms`);
  if (first !== null) {
    const { event } = await first;
    const alone = (event.event === 'step' ? event.step : 0) - before;
    figures.push(`${alone} steps meanwhile`);
    expect(alone).toBeGreaterThan(10);
  }
  process.stdout.write(`${name}: ${figures.join(', ')}\n`);
}

/** One worker comes back, and in the moment the members form another is cut off. */
async function sufferWhileForming(): Promise<void> {
  await run.steps(20);
  const without = run.membership(2);
  network.cut(both(drop('c', null)));
  await without;
  await run.steps(20);
  const whole = run.membership(3);
  network.cut([]);
  await whole;
  const withoutOther = run.membership(2);
  network.cut(both(drop('b', null)));
  const cutMs = performance.now();
  await withoutOther;
  const again = await run.steps(1);
  process.stdout.write(
    `a worker cut off while the members form: next step after ${(again.atMs - cutMs).toFixed(0)} ms\n`,
  );
  const all = run.cluster.world === workers.length ? null : run.membership(workers.length);
  network.cut([]);
  await all;
}

/** Any cut, for any time. */
async function sufferAny(random: Random): Promise<void> {
  const cut: Cut = {
    from: random.pick(hosts),
    to: random.chance(0.5) ? null : random.pick(hosts),
    how: random.chance(0.8) ? 'drop' : 'reset',
  };
  const [there, back] = both(cut);
  network.cut(random.pick([[there!], [back!], [there!, back!]]));
  await sleep(random.magnitude(100, 6_000));
  network.cut([]);
  await run.steps(1 + random.below(30));
}

it.skipIf(why !== null)(
  'cuts of a network',
  async () => {
    const isShort = seconds === 0;
    for (const fault of faults) if (!isShort || fault.long === undefined) await suffer(fault);
    if (!isShort) await sufferWhileForming();
    const random = new Random(seed);
    let anyCuts = 0;
    for (const endMs = performance.now() + seconds * 1_000; performance.now() < endMs; anyCuts += 1) {
      await sufferAny(random);
    }
    const done = await run.stop();
    process.stdout.write(
      `${anyCuts} cuts drawn from seed ${seed}, ${done.steps} steps in ${run.generation} generations, ` +
        `longest standstill ${run.longestStandstillMs.toFixed(0)} ms\n`,
    );
    expect(done.weightsSha256).toBe(await run.quietSha256(done.steps));
    expect(run.longestStandstillMs).toBeLessThan(standstillMsMax);
    expect(run.cluster.logs).not.toMatch(/^\s+at /m);
  },
  testTimeoutMs,
);

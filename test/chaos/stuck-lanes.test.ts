// A thread that computes hangs while its process answers as ever: its lease runs out, the worker says so and ends, and the
// others go on to the weights of the quiet run, by bytes.

import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { whyNoInjection } from '../durability/strace.ts';
import { doneEvent, lockstep, temporaryDirectory } from '../e2e/command-line.ts';
import { Cluster, type Process, type Told } from './cluster.ts';

const config = {
  name: 'stuck',
  data: { kind: 'digits', train: 640, test: 0, seed: 4 },
  model: {
    input: [28, 28, 1],
    layers: [
      { type: 'conv2d', filters: 8, kernel: 3, stride: 2 },
      { type: 'relu' },
      { type: 'flatten' },
      { type: 'dense', units: 10 },
    ],
  },
  loss: 'softmaxCrossEntropy',
  optimizer: { type: 'adam', learningRate: 0.001 },
  batch: 64,
  steps: 1_000,
  seed: 5,
};
const why = whyNoInjection();
if (why !== null) process.stdout.write(`stuck threads are not tested: ${why}\n`);

const directory = temporaryDirectory();
const cwd = directory.path;
let expected = '';

beforeAll(async () => {
  writeFileSync(join(cwd, 'run.json'), JSON.stringify(config));
  const args = ['train', 'run.json', '--workers', '0', '--out', 'quiet', '--json'];
  expected = doneEvent(await lockstep(args, { cwd })).weightsSha256;
});
afterAll(() => directory.remove());

/** Processor time of each thread but the first, in the kernel's ticks. */
function threadTicks(pid: number): Map<string, number> {
  const threads = readdirSync(`/proc/${pid}/task`).filter((thread) => thread !== `${pid}`);
  return new Map(
    threads.map((thread) => {
      // What follows the name, which may have blanks, begins with the state; user and system time are 12th and 13th.
      const fields = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
      return [thread, Number(fields[11]) + Number(fields[12])];
    }),
  );
}

/** The thread that worked most since `before`. */
function busiest(pid: number, before: ReadonlyMap<string, number>): string {
  const worked = [...threadTicks(pid)].map(([thread, ticks]) => ({
    thread,
    ticks: ticks - (before.get(thread) ?? 0),
  }));
  return worked.sort((a, b) => b.ticks - a.ticks)[0]!.thread;
}

/** Resolves when it wrote that on stderr. */
function said({ child, stderr }: Process, pattern: RegExp): Promise<void> {
  let text = stderr;
  return new Promise((resolve) => {
    child.stderr!.on('data', (more: string) => {
      text += more;
      if (pattern.test(text)) resolve();
    });
  });
}

/**
 * Hangs a thread that computes; the run ends with the bytes of the quiet one. 'silent': it had a lock of its process in hand, so
 * that its main thread hung as well, and the worker is left out for its silence, before it could say anything.
 */
async function hangOne(out: string): Promise<'told' | 'silent'> {
  const cluster = new Cluster({ cwd, config: 'run.json', out, workers: 2 });
  const atStep = (step: number): Promise<Told> =>
    cluster.next(({ event }) => event.event === 'step' && event.step >= step);
  try {
    const [begun, warm] = [atStep(20), atStep(200)];
    const done = cluster.next(({ event }) => event.event === 'done');
    await cluster.start();
    await begun;
    const victim = cluster.workers[1]!;
    const before = threadTicks(victim.child.pid!);
    await warm;
    const thread = busiest(victim.child.pid!, before);
    const hang = ['-qq', '-o', '/dev/null', '-e', 'trace=futex', '-e', 'inject=futex:delay_enter=600000000'];
    const strace = spawn('strace', ['-p', thread, ...hang], { stdio: 'ignore' });
    const hungMs = performance.now();
    const silent = cluster.next(
      ({ event }) => event.event === 'membership' && / is gone: silent for /.test(event.reason),
    );
    const stuck = said(victim, /its process has to be started anew\n/).then(() => 'told' as const);
    const how = await Promise.race([stuck, silent.then(() => 'silent' as const)]);
    // A thread that a tracer holds does not even die.
    strace.kill('SIGKILL');
    const { event } = await done;
    expect(event).toMatchObject({ steps: config.steps, weightsSha256: expected });
    if (how === 'silent') return how;
    await victim.ended;
    expect(victim.child.signalCode).toBe('SIGKILL');
    expect(victim.stderr).toMatch(
      /^error: the compute threads of this worker are stuck: step \d+, [a-z ]+ has taken more than 3\.0 s; its process/m,
    );
    const next = cluster.told.find(({ event: told, atMs }) => atMs > hungMs + 1_000 && told.event === 'step');
    process.stdout.write(`hung thread to next step: ${(next!.atMs - hungMs).toFixed(0)} ms\n`);
    const formed = cluster.told.findLast(({ event: told }) => told.event === 'membership');
    expect(formed?.event).toMatchObject({
      world: 1,
      reason: expect.stringMatching(
        / is gone: in step \d+, [a-z ]+: the compute threads of this worker are stuck/,
      ),
    });
    return how;
  } finally {
    await cluster.end();
  }
}

it.skipIf(why !== null)(
  'a thread that hangs costs its worker, and nothing else',
  { timeout: 120_000 },
  async () => {
    // Where a thread hangs is not ours to choose: one must hang where its process can still say so.
    const ways: string[] = [];
    while (!ways.includes('told') && ways.length < 6) ways.push(await hangOne(`run-${ways.length}`));
    process.stdout.write(`threads that hung: ${ways.join(', ')}\n`);
    expect(ways).toContain('told');
  },
);

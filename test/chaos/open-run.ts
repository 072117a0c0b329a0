// For chaos tests: a run without an end of its own. Faults happen in their own time, then it is stopped, and a quiet run of
// as many steps in one process says what its weights must be: no machine is too fast or too slow for such a test.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RunEvent } from '../../src/engine/events.ts';
import { doneEvent, lockstep } from '../e2e/command-line.ts';
import { Cluster, type ClusterOptions, type Told } from './cluster.ts';

/** Whatever is waited for comes within this, also on a machine with other work. */
export const patienceMs = 60_000;

const configFile = 'open.json';

/** Small and with everything that must be exact: batch norm, dropout, clipping, uneven last batches. */
const configOf = (seed: number): unknown => ({
  name: 'open',
  data: { kind: 'digits', train: 1000, test: 50, seed: 4 },
  model: {
    input: [28, 28, 1],
    layers: [
      { type: 'flatten' },
      { type: 'dense', units: 40, bias: false },
      { type: 'batchNorm' },
      { type: 'relu' },
      { type: 'dropout', rate: 0.2 },
      { type: 'dense', units: 10 },
    ],
  },
  loss: 'softmaxCrossEntropy',
  optimizer: { type: 'adam', learningRate: 0.001 },
  clipNorm: 2,
  batch: 64,
  steps: 10_000_000,
  checkpoint: { everySteps: 500 },
  seed,
});

type Done = Extract<RunEvent, { event: 'done' }>;

export class OpenRun {
  readonly cluster: Cluster;
  readonly #cwd: string;

  constructor(cwd: string, seed: number, options: Omit<ClusterOptions, 'cwd' | 'config' | 'out'>) {
    writeFileSync(join(cwd, configFile), JSON.stringify(configOf(seed)));
    this.#cwd = cwd;
    this.cluster = new Cluster({ cwd, config: configFile, out: 'disturbed', ...options });
  }

  /** The next event that `matches`; rejects after patienceMs. */
  async next(what: string, matches: (told: Told) => boolean): Promise<Told> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(this.#failure(`no ${what} within ${patienceMs} ms`)), patienceMs);
    });
    try {
      return await Promise.race([this.cluster.next(matches), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Until this many more steps were told. */
  async steps(count: number): Promise<Told> {
    const end = this.cluster.step + count;
    return this.next(`step ${end}`, ({ event }) => event.event === 'step' && event.step >= end);
  }

  /** The first membership from now on with so many members. */
  membership(world: number): Promise<Told> {
    return this.next(
      `membership of ${world}`,
      ({ event }) => event.event === 'membership' && event.world === world,
    );
  }

  /** The newest generation told. */
  get generation(): number {
    const last = this.cluster.told.findLast(({ event }) => event.event === 'membership');
    return last?.event.event === 'membership' ? last.event.generation : 0;
  }

  /** Until the coordinator has nobody left. */
  pause(): Promise<Told> {
    return this.next(
      'pause',
      ({ event }) => event.event === 'notice' && /the run pauses until/.test(event.message),
    );
  }

  /** Ends it with a checkpoint, after the step in flight. */
  async stop(): Promise<Done> {
    const done = this.next('end', ({ event }) => event.event === 'done');
    this.cluster.coordinator!.child.kill('SIGINT');
    return (await done).event as Done;
  }

  /** SHA-256 of the weights after as many steps in one process, where nothing happened. */
  async quietSha256(steps: number): Promise<string> {
    const args = ['train', configFile, '--workers', '0', '--threads', '1', '--out', 'quiet', '--json'];
    const outcome = await lockstep([...args, '--stop-after', `${steps}`], { cwd: this.#cwd });
    const done = doneEvent(outcome);
    if (done.steps !== steps) throw new Error(`the quiet run took ${done.steps} steps, not ${steps}`);
    return done.weightsSha256;
  }

  /** The longest time between two steps that were told, in milliseconds. */
  get longestStandstillMs(): number {
    const times = this.cluster.told.filter(({ event }) => event.event === 'step').map(({ atMs }) => atMs);
    return Math.max(...times.slice(1).map((atMs, i) => atMs - times[i]!));
  }

  #failure(what: string): Error {
    const last = this.cluster.told
      .filter(({ event }) => event.event !== 'step')
      .slice(-30)
      .map(({ event, atMs }) => `${atMs.toFixed(0)} ms ${JSON.stringify(event)}`);
    return new Error([what, ...last, this.cluster.logs].join('\n'));
  }
}

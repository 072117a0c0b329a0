// For chaos tests: kills, stops and replaces processes of a cluster on a timetable drawn from a seed until the run is over,
// and says what it cost.

import { setTimeout as sleep } from 'node:timers/promises';
import type { RunEvent } from '../../src/engine/events.ts';
import { Cluster, type ClusterOptions, isAlive, type Told } from './cluster.ts';

export interface Timetable {
  readonly seed: number;
  /** Between two SIGKILLs of a worker, each followed by another worker in its place; Infinity for none. */
  readonly workerKillMs: number;
  /** Between two SIGKILLs of the coordinator. */
  readonly coordinatorKillMs: number;
  /** Between two SIGSTOPs of a worker. */
  readonly workerStopMs: number;
  /** Gives up after this. */
  readonly limitMs: number;
}

export interface ChaosOutcome {
  readonly done: Extract<RunEvent, { event: 'done' }>;
  /** From the first step told to the end. */
  readonly wallMs: number;
  readonly workerKills: number;
  readonly coordinatorKills: number;
  readonly workerStops: number;
  /** From a SIGKILL of a worker to the membership without it. */
  readonly noticesMs: readonly number[];
  /** From a SIGKILL of a worker to the first step of the membership after it. */
  readonly recoveriesMs: readonly number[];
  /** From the start of a coordinator in place of another to the first step it told. */
  readonly restartsMs: readonly number[];
  /** Between two steps with a change of membership in between, or a coordinator's absence: all of it. */
  readonly standstillMs: number;
  readonly logs: string;
}

/** Runs to the end. Throws when it does not come. */
export async function chaos(options: ClusterOptions, timetable: Timetable): Promise<ChaosOutcome> {
  const cluster = new Cluster(options);
  const tormentor = new Tormentor(cluster, timetable);
  const isStep = ({ event }: Told): boolean => event.event === 'step';
  try {
    const first = cluster.next(isStep);
    const done = cluster.next(({ event }) => event.event === 'done');
    const limit = sleep(timetable.limitMs).then(() => {
      throw new Error(`not over after ${timetable.limitMs} ms, at step ${cluster.step}\n${cluster.logs}`);
    });
    await cluster.start();
    const begun = await Promise.race([first, limit]);
    tormentor.begin();
    const ended = await Promise.race([done, limit, tormentor.failed]);
    return {
      done: ended.event as ChaosOutcome['done'],
      wallMs: ended.atMs - begun.atMs,
      ...tormentor.counts,
      noticesMs: tormentor.workerKillsMs.flatMap((atMs) => noticeMs(cluster.told, atMs)),
      recoveriesMs: tormentor.workerKillsMs.flatMap((atMs) => recoveryMs(cluster.told, atMs)),
      restartsMs: tormentor.restartsMs.flatMap((atMs) => {
        const step = cluster.told.find((told) => told.atMs > atMs && isStep(told));
        return step === undefined ? [] : [step.atMs - atMs];
      }),
      standstillMs: standstillMs(cluster.told),
      logs: cluster.logs,
    };
  } finally {
    tormentor.end();
    await cluster.end();
  }
}

/** Nothing where it was no member, or was left out for something else. */
function noticeMs(told: readonly Told[], killedMs: number): number[] {
  const formed = told.find(
    ({ event, atMs }) => atMs > killedMs && event.event === 'membership' && / is gone: /.test(event.reason),
  );
  return formed === undefined || formed.atMs - killedMs > 1_000 ? [] : [formed.atMs - killedMs];
}

function standstillMs(told: readonly Told[]): number {
  let sum = 0;
  let stepMs: number | null = null;
  let changed = false;
  for (const { event, atMs } of told) {
    if (event.event === 'membership' || event.event === 'listening') changed = true;
    if (event.event !== 'step') continue;
    if (changed && stepMs !== null) sum += atMs - stepMs;
    stepMs = atMs;
    changed = false;
  }
  return sum;
}

/** Nothing where the kill made no difference: the run was over, or the worker had not joined. */
function recoveryMs(told: readonly Told[], killedMs: number): number[] {
  const formed = told.findIndex(({ event, atMs }) => atMs > killedMs && event.event === 'membership');
  if (formed === -1 || told[formed]!.atMs - killedMs > 1_000) return [];
  const step = told.slice(formed).find(({ event }) => event.event === 'step');
  return step === undefined ? [] : [step.atMs - killedMs];
}

class Tormentor {
  readonly workerKillsMs: number[] = [];
  readonly restartsMs: number[] = [];
  readonly #cluster: Cluster;
  readonly #timetable: Timetable;
  readonly #timers: NodeJS.Timeout[] = [];
  #random: number;
  #workerStops = 0;
  /** A coordinator that does not listen yet is not killed: it would never. */
  #starting = false;
  #killedMs = 0;
  #over = false;
  #fail: (error: unknown) => void = () => undefined;
  readonly failed: Promise<never>;

  constructor(cluster: Cluster, timetable: Timetable) {
    this.#cluster = cluster;
    this.#timetable = timetable;
    this.#random = timetable.seed;
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.failed.catch(() => undefined);
  }

  get counts(): Pick<ChaosOutcome, 'workerKills' | 'coordinatorKills' | 'workerStops'> {
    return {
      workerKills: this.workerKillsMs.length,
      coordinatorKills: this.restartsMs.length,
      workerStops: this.#workerStops,
    };
  }

  begin(): void {
    const { workerKillMs, coordinatorKillMs, workerStopMs } = this.#timetable;
    this.#every(workerKillMs, async () => this.#killWorker());
    this.#every(coordinatorKillMs, () => this.#killCoordinator());
    this.#every(workerStopMs, () => this.#stopWorker());
  }

  end(): void {
    this.#over = true;
    for (const timer of this.#timers) clearInterval(timer);
  }

  #every(ms: number, act: () => Promise<void>): void {
    if (!Number.isFinite(ms)) return;
    this.#timers.push(setInterval(() => void act().catch((error: unknown) => this.#failing(error)), ms));
  }

  #failing(error: unknown): void {
    if (!this.#over) this.#fail(error);
  }

  #killWorker(): void {
    const cluster = this.#cluster;
    cluster.workers = cluster.workers.filter(isAlive);
    if (!this.#hasGoneOn() || cluster.world < 2) return;
    const victim = cluster.workers[this.#below(cluster.workers.length)];
    victim?.child.kill('SIGKILL');
    this.workerKillsMs.push(performance.now());
    cluster.workers = cluster.workers.filter((worker) => worker !== victim);
    // Those that ended for another reason are made up for.
    while (cluster.workers.length < cluster.wanted) cluster.startWorker();
  }

  async #killCoordinator(): Promise<void> {
    const { coordinator } = this.#cluster;
    if (coordinator === null || !isAlive(coordinator) || this.#starting || !this.#hasGoneOn()) return;
    coordinator.child.kill('SIGKILL');
    await coordinator.ended;
    if (this.#over) return;
    this.restartsMs.push(performance.now());
    this.#starting = true;
    await this.#cluster.startCoordinator(true);
    this.#starting = false;
  }

  /**
   * A step was told since the last kill. Where processes take longer to start than the timetable leaves them, kills are
   * left out rather than the run kept from ever going on.
   */
  #hasGoneOn(): boolean {
    const last = this.#cluster.told.findLast(({ event }) => event.event === 'step')?.atMs ?? 0;
    if (last <= this.#killedMs) return false;
    this.#killedMs = performance.now();
    return true;
  }

  /** Long enough to be left out, or not. */
  async #stopWorker(): Promise<void> {
    const alive = this.#cluster.workers.filter(isAlive);
    const victim = alive[this.#below(alive.length)];
    if (victim === undefined) return;
    this.#workerStops += 1;
    victim.child.kill('SIGSTOP');
    await sleep(500 + this.#below(3_000));
    victim.child.kill('SIGCONT');
  }

  /** A linear congruential generator will do (Numerical Recipes' constants). */
  #below(end: number): number {
    this.#random = (Math.imul(this.#random, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#random / 2 ** 32) * end);
  }
}

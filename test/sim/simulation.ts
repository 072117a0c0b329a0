// One seed's run: a cluster, its weather and its faults are all drawn from the seed. First everything goes wrong for a while;
// then nothing does, and the run must end within a bounded time.

import type { MessageFrom, MessageOf } from '../../proto/messages.ts';
import { stateDigest } from '../../src/checkpoint/state-digest.ts';
import type { ErrorCode } from '../../src/errors.ts';
import { leaseLimits } from '../../worker/step/lease.ts';
import { type Sampler, samplerOf, type Task } from './arithmetic.ts';
import type { Breakage } from './breakages.ts';
import { Clock, type Host, Random } from './clock.ts';
import { CoordinatorProcess } from './coordinator-process.ts';
import { Disk } from './disk.ts';
import { type FaultRates, Faults, ratesOf } from './faults.ts';
import { Network } from './network.ts';
import { Observers, Violation } from './observers.ts';
import { WorkerProcess } from './worker-process.ts';

/** After the last fault: silences, refusals and back-offs pass (limits.ts), then the steps that are left are taken. */
const livenessMs = 150_000;
/** Lanes that stick before any step was measured are waited for as long as a lease can be, here one after another. */
const stuckMs = 3 * leaseLimits.ceilingMs;
const eventsMax = 400_000;
/** A worker that was asked to leave does so within this time when nothing goes wrong. */
const leaveMs = 60_000;

export interface Outcome {
  readonly virtualMs: number;
  readonly events: number;
  readonly generations: number;
  readonly faults: number;
}

export class Simulation {
  readonly clock = new Clock();
  readonly random: Random;
  readonly network: Network;
  readonly observers: Observers;
  readonly task: Task;
  readonly workersWanted: number;
  readonly workersMin: number;
  readonly directBytesMax: number;
  /** Steps between two digests. */
  readonly digestEvery: number;
  /** A segment takes about this long, in milliseconds. */
  readonly computeMs: number;
  readonly fingerprint = 'f'.repeat(64);
  readonly workers: WorkerProcess[] = [];
  /** Of those that lied, those that were told so. */
  readonly named = new Set<string>();
  coordinator: CoordinatorProcess | null = null;
  readonly samplesOf: Sampler;
  readonly broken: Breakage | null;
  readonly disk: Disk;
  readonly #faults: Faults;
  readonly #lines: string[] | null;
  #nextWorker = 1;
  #healed = false;
  #ended = false;

  constructor(
    seed: number,
    options: {
      readonly quiet?: boolean;
      readonly rates?: Partial<FaultRates>;
      readonly lines?: string[];
      /** A rule that this cluster breaks, to see that it is noticed. */
      readonly broken?: Breakage;
    } = {},
  ) {
    const random = new Random(seed);
    this.random = random;
    this.#lines = options.lines ?? null;
    this.broken = options.broken ?? null;
    const delayMsMin = random.magnitude(0.05, 2);
    this.network = new Network(this.clock, random, {
      delayMsMin,
      delayMsMax: delayMsMin * random.magnitude(1.1, 20),
      duplicates: 0,
    });
    this.task = {
      seed,
      shards: random.pick([4, 5, 6, 8, 8, 12]),
      steps: 10 + random.below(30),
      evaluateEvery: random.pick([3, 5, 8, 100]),
      checkpointEvery: random.pick([2, 4, 5, 7, 100]),
    };
    this.workersWanted = 1 + random.below(4);
    this.workersMin = 1 + random.below(this.workersWanted);
    this.directBytesMax = random.chance(0.5) ? 0 : 1 << 20;
    this.digestEvery = new Random(seed ^ 0xd16e).pick([1, 2, 5, 32]);
    this.computeMs = random.magnitude(1, 30);
    this.samplesOf = samplerOf(this.task, this.broken === 'dropsRaggedBatch');
    this.disk = new Disk(1 + random.below(3));
    this.observers = new Observers(this.task);
    this.observers.digestEvery = this.digestEvery;
    const rates =
      options.quiet === true ? null : { ...ratesOf(random, new Random(seed ^ 0x5eed)), ...options.rates };
    // Of two copies of a message, one with a flip, nobody could say which is the right one.
    const isExact = rates === null || rates.flip + rates.lieQuietly === 0;
    this.network.weather.duplicates = isExact ? (rates?.duplicates ?? 0) : 0;
    this.#faults = new Faults(this, rates);
  }

  /** To the end. Throws Violation. */
  run(): Outcome {
    this.startCoordinator();
    for (let i = 0; i < this.workersWanted; i += 1) this.startWorker();
    this.#faults.begin();
    this.#supervise();
    const { clock } = this;
    while (!this.#ended) {
      if (!clock.step()) throw new Violation('nothing happens any more');
      const withinMs = livenessMs + this.#stuckMs;
      const isLate = this.#healed && clock.nowMs > this.#faults.healedAtMs + withinMs;
      if (isLate || clock.events > eventsMax)
        throw new Violation(`the run does not end: ${this.#describe()}`);
    }
    this.#leaversGo();
    this.observers.queues(this.network);
    return {
      virtualMs: clock.nowMs,
      events: clock.events,
      generations: this.disk.generation,
      faults: this.#faults.count,
    };
  }

  // --- what every process may ask for

  /** A disk that failed ends the run, and so do the last worker's lanes, with this code; another goes on. */
  mayFailWith(code: string): boolean {
    const { hurtDisk, hurtLanes } = this.#faults;
    return (
      (hurtDisk && ['LOCKSTEP_FILE_SYSTEM', 'LOCKSTEP_CHECKPOINT_INVALID'].includes(code)) ||
      (hurtLanes && code === 'LOCKSTEP_LANES_STUCK') ||
      // Two members, of which one tells digests that are wrong.
      (code === 'LOCKSTEP_WEIGHTS_DIFFER' &&
        this.workers.some(({ liar }) => liar?.lie === 'wrongDigest' && liar.hasLied))
    );
  }

  /** Of two, one of which got from the other what cannot be right, one has lied. */
  formedFor(reason: string): void {
    const [, by, about] = /^worker (\S+) got from worker (\S+) /.exec(reason) ?? [];
    if (by === undefined || about === undefined) return;
    this.named.add(about);
    this.observers.blamed(this.hasLied(by) || this.hasLied(about), reason);
  }

  digestOf(state: Float32Array): number {
    return this.broken === 'looksAtNoState' ? 0 : stateDigest([{ floats: state }]);
  }

  /** The coordinator tells a worker that it does wrong, and is sure of it. */
  keptOut(message: MessageFrom<'coordinator'>): void {
    if (message.type !== 'refused') return;
    const workerId = /^worker (\S+) is kept out of this run/.exec(message.message)?.[1];
    if (workerId === undefined) return;
    this.named.add(workerId);
    this.observers.blamed(this.hasLied(workerId), message.message);
  }

  /** From now on members may have unlike states, and reports be wrong; what they agree on may not. */
  dataIsWrong(): void {
    this.observers.mayDiffer = true;
  }

  evaluateAfter(step: number): boolean {
    return step > 0 && (step === this.task.steps || step % this.task.evaluateEvery === 0);
  }

  checkpointAfter(step: number): boolean {
    return step > 0 && (step === this.task.steps || step % this.task.checkpointEvery === 0);
  }

  hasLied(workerId: string): boolean {
    return this.workers.some(({ host, liar }) => host.name === workerId && liar?.hasLied === true);
  }

  helloOf({
    host,
    isForeign,
  }: WorkerProcess): Omit<MessageOf<'hello'>, 'runId' | 'generation' | 'nameSecret'> {
    const workerId = host.name;
    const fingerprint = isForeign ? 'e'.repeat(64) : this.fingerprint;
    return {
      type: 'hello',
      protocolVersion: 1,
      packageVersion: '1.0.0',
      fingerprint,
      kernelHashes: { adam: 'a'.repeat(64), add: fingerprint },
      backend: isForeign ? 'reference' : 'native',
      variant: isForeign ? 'float32' : 'avx2',
      threads: 1,
      workerId,
      peerHost: workerId,
      peerPort: 1,
    };
  }

  /** True when the process was killed at this very point, between two effects. */
  crashesHere(host: Host): boolean {
    if (!this.#faults.drawCrash()) return false;
    this.trace(host.name, 'crashes', {});
    host.kill();
    return true;
  }

  trace(who: string, verb: string, what: object): void {
    if (this.#lines === null) return;
    const said = JSON.stringify(what, (_key, value: unknown) =>
      value instanceof Uint8Array ? `${value.length} bytes` : value,
    );
    this.#lines.push(`${this.clock.nowMs.toFixed(2).padStart(10)} ${who} ${verb} ${said}`);
  }

  // --- the launcher

  startCoordinator(): void {
    this.trace('coordinator', 'starts', {});
    this.coordinator = new CoordinatorProcess(this, this.disk);
  }

  /** `isForeign`: with other kernels than the run's. */
  startWorker(isForeign = false): void {
    const worker = new WorkerProcess(this, `w${this.#nextWorker++}`, isForeign);
    this.trace(worker.host.name, 'starts', { isForeign });
    this.workers.push(worker);
  }

  get living(): WorkerProcess[] {
    return this.workers.filter(({ host }) => host.isAlive);
  }

  /** Starts what has died anew, after a while; when the faults are over, without fail. */
  #supervise(): void {
    if (this.#ended) return;
    const { random } = this;
    this.observers.queues(this.network);
    if (this.coordinator?.host.isAlive !== true && random.chance(0.5)) this.startCoordinator();
    const wanted = this.living.filter(
      ({ leavingSinceMs, isForeign }) => leavingSinceMs === null && !isForeign,
    ).length;
    if (wanted < this.workersWanted && (this.#healed || random.chance(0.5))) this.startWorker();
    if (this.#healed) this.#noneLeavesForEver();
    this.clock.after(random.between(20, this.#healed ? 200 : 1_000), () => this.#supervise());
  }

  /** Whoever was asked to leave does so also when the run is over; stuck lanes are waited for as long as their lease. */
  #leaversGo(): void {
    const untilMs = this.clock.nowMs + leaveMs;
    for (;;) {
      const leaver = this.living.find(
        ({ leavingSinceMs, host }) => leavingSinceMs !== null && !host.lanesStick,
      );
      if (leaver === undefined) return;
      if (this.clock.nowMs > untilMs || !this.clock.step())
        throw new Violation(
          `a worker that was asked to leave stays when the run is over: ${leaver.describe}`,
        );
    }
  }

  get #stuckMs(): number {
    return this.workers.some(({ host }) => host.lanesStick) ? stuckMs : 0;
  }

  #noneLeavesForEver(): void {
    const since = this.clock.nowMs - leaveMs - this.#stuckMs;
    if (since < this.#faults.healedAtMs) return;
    const stuck = this.living.find(
      ({ leavingSinceMs, host }) => leavingSinceMs !== null && leavingSinceMs < since && !host.lanesStick,
    );
    this.observers.expect(stuck === undefined, `a worker that was asked to leave does: ${stuck?.describe}`);
  }

  healed(): void {
    this.trace('faults', 'are over', {});
    this.#healed = true;
  }

  /** The coordinator ended in order; before the last step when it was asked to stop: another goes on. */
  runEnded(step: number, sha: string): void {
    this.observers.ended(step, sha, this.disk);
    this.trace('run', 'ended', { step });
    if (step === this.task.steps) this.#ended = true;
  }

  runFailed(code: ErrorCode, message: string): void {
    const isExpected = code === 'LOCKSTEP_STOPPED' || this.mayFailWith(code);
    this.observers.expect(isExpected, `the run does not fail: ${code} ${message}`);
  }

  #describe(): string {
    const all = [
      ...(this.coordinator === null ? [] : [this.coordinator.describe]),
      ...this.living.map((each) => each.describe),
    ];
    return all.join('; ');
  }
}

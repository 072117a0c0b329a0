// Who watches a simulated run: each rule is checked from outside, against the quiet run, and breaks it with a line that says
// what must not be. They change nothing. test/sim/observers.test.ts shows of each that it can fail.

import { limits } from '../../proto/limits.ts';
import type { MessageOf } from '../../proto/messages.ts';
import { alignedFloats } from '../../worker/collective/floats.ts';
import { hashOf, lossOf, quietRun, samplesProblem, stepsProblem, type Task } from './arithmetic.ts';
import type { Disk } from './disk.ts';
import { bulkBytesMax, type Network } from './network.ts';
import { pieceBytes } from './serial.ts';

export class Violation extends Error {}

/** Numbers of an evaluation: a function of the weights alone. */
export function evaluationOf(
  task: Task,
  state: Float32Array,
  firstShard: number,
  endShard: number,
): Float32Array {
  return Float32Array.from({ length: endShard - firstShard }, (_, i) =>
    lossOf(task, state, 0, firstShard + i),
  );
}

interface Membership {
  readonly workers: readonly string[];
  /** Where it went on from; null until that is decided. */
  startStep: number | null;
  /** Each of them computes every shard. */
  isAlone: boolean;
}

/** Swaps of one other worker that came before the own part: it cannot begin the next without that. */
const earlySwapsMax = 1;
/** Messages in one direction of a connection: a few steps' worth. */
const inFlightMax = 200;
/** Memberships that changed while one worker healed, each of which had something on the way. */
const bulkLoopsMax = 4;

export class Observers {
  readonly #task: Task;
  readonly #quiet: readonly Float32Array[];
  readonly #hashes: readonly string[];
  #generation = 0;
  readonly #memberships = new Map<number, Membership>();
  /** Steps of the checkpoints that were told and that no fault has damaged since. */
  readonly #acknowledged = new Set<number>();
  /** By generation and step: who computed each shard. */
  readonly #computed = new Map<string, (string | null)[]>();
  /** By worker: the newest (generation, step) it applied. */
  readonly #applied = new Map<string, { readonly generation: number; readonly step: number }>();
  /** By worker: the newest generation it computed for. */
  readonly #computedFor = new Map<string, number>();
  readonly #committed = new Set<number>();
  /** Some data was made wrong, so that members may have unlike states for a while. */
  mayDiffer = false;
  /**
   * All members have the same wrong state: when a generation began, as those that had the right one were gone before anybody
   * compared; or at a digest, as what differed since the one before was rounded away after it had reached the others. From there
   * on nobody can know.
   */
  isLost = false;
  /** Steps after which members tell digests; in between they may come to differ and to be equal again. */
  digestEvery = 1;
  /** By generation and step: wrong states, by worker. */
  readonly #wrong = new Map<string, Map<string, string>>();
  /** By generation: the state with which each member began. */
  readonly #began = new Map<number, Map<string, string>>();
  arrivalsMost = 0;
  earlySwapsMost = 0;

  constructor(task: Task) {
    this.#task = task;
    this.#quiet = quietRun(task);
    this.#hashes = this.#quiet.map(hashOf);
  }

  expect(holds: boolean, what: string): void {
    if (!holds) throw new Violation(`not so: ${what}`);
  }

  // --- one membership at a time

  /** Generations only rise, over all coordinators there ever were. */
  journalled(generation: number): void {
    this.expect(generation > this.#generation, `generation ${generation} is newer than ${this.#generation}`);
    this.#generation = generation;
  }

  formed(generation: number, workers: readonly string[]): void {
    this.expect(
      generation === this.#generation,
      `generation ${generation} is in the journal before anybody hears of it`,
    );
    this.#memberships.set(generation, { workers, startStep: null, isAlone: false });
  }

  /** What the coordinator takes for true comes of the newest membership. */
  acknowledged(generation: number, what: string): void {
    this.expect(
      generation === this.#generation,
      `${what} of generation ${generation} counts in generation ${this.#generation}`,
    );
  }

  computed(worker: string, generation: number, step: number, firstShard: number, endShard: number): void {
    this.expect(
      generation >= (this.#computedFor.get(worker) ?? 0),
      `${worker} computes for generation ${generation}, and for none after it`,
    );
    this.#computedFor.set(worker, generation);
    const key = this.#keyOf(worker, generation, step);
    const by = this.#computed.get(key) ?? new Array<string | null>(this.#task.shards).fill(null);
    for (let shard = firstShard; shard < endShard; shard += 1) {
      this.expect(
        by[shard] === null,
        `${worker} alone computes shard ${shard} of step ${step} in generation ${generation}, not ${by[shard]} too`,
      );
      by[shard] = worker;
    }
    this.#computed.set(key, by);
  }

  #agreedOnWrong(
    worker: string,
    { generation, members }: MessageOf<'membership'>,
    step: number,
    hash: string,
  ): void {
    if (this.digestEvery === 1) return;
    const key = `${generation}.${step}`;
    const wrong = this.#wrong.get(key) ?? new Map<string, string>();
    this.#wrong.set(key, wrong.set(worker, hash));
    const { steps, checkpointEvery } = this.#task;
    const isTold = [this.digestEvery, checkpointEvery].some((every) => step % every === 0) || step === steps;
    this.isLost ||= isTold && wrong.size === members.length && new Set(wrong.values()).size === 1;
  }

  began(
    worker: string,
    { generation, members, alone }: MessageOf<'membership'>,
    step: number,
    hash: string,
  ): void {
    const began = this.#began.get(generation) ?? new Map<string, string>();
    this.#began.set(generation, began.set(worker, hash));
    if (began.size < members.length) return;
    const hashes = new Set(began.values());
    this.expect(
      this.isLost || hashes.size === 1,
      `the members of generation ${generation} begin with one state`,
    );
    if (hashes.has(this.#hashes[step]!)) return;
    this.expect(
      this.isLost || (this.mayDiffer && !alone),
      `generation ${generation} begins with the state of the quiet run after step ${step}`,
    );
    this.isLost = true;
  }

  /** Who computed the shards of a step is known for each membership, or for each member that computes alone. */
  #keyOf(worker: string, generation: number, step: number): string {
    const isAlone = this.#memberships.get(generation)?.isAlone === true;
    return isAlone ? `${generation}.${step}.${worker}` : `${generation}.${step}`;
  }

  /** A worker applied a step: once, after the one before, with every shard in it once, and with the quiet run's bits. */
  committed(worker: string, membership: MessageOf<'membership'>, step: number, state: Float32Array): void {
    const { generation, members } = membership;
    const where = `step ${step} by ${worker} in generation ${generation}`;
    const before = this.#applied.get(worker);
    const isNext = before?.generation !== generation || before.step + 1 === step;
    this.expect(isNext, `${where} is applied once, after the one before`);
    this.expect(
      before === undefined || before.generation <= generation,
      `${where}: no generation comes back`,
    );
    this.#applied.set(worker, { generation, step });
    const by = this.#computed.get(this.#keyOf(worker, generation, step)) ?? [];
    const isWhole = membership.alone
      ? by.every((each) => each === worker)
      : members.every(({ workerId, firstShard, endShard }) =>
          by.slice(firstShard, endShard).every((each) => each === workerId),
        );
    this.expect(isWhole && by.length > 0, `${where} has what each member of that generation computed`);
    this.#notBeside(generation, step, where);
    this.#committed.add(step);
    const isWrong = hashOf(state) !== this.#hashes[step];
    if (isWrong && (this.isLost || (this.mayDiffer && !membership.alone))) {
      this.#agreedOnWrong(worker, membership, step, hashOf(state));
      return;
    }
    const stepsWrong = stepsProblem(this.#task, state, step);
    this.expect(stepsWrong === null, `${where} has each step's shards once: ${stepsWrong}`);
    const samplesWrong = samplesProblem(state, step);
    this.expect(samplesWrong === null, `${where} has each epoch's samples once: ${samplesWrong}`);
    this.expect(!isWrong, `${where} has the bits of the quiet run`);
  }

  /** An older membership takes at most the step that was in flight when a newer one with a member of it formed. */
  #notBeside(generation: number, step: number, where: string): void {
    const own = this.#memberships.get(generation)?.workers ?? [];
    let wentBack = false;
    for (const [newer, { workers, startStep, isAlone }] of this.#memberships) {
      // After one that went back others begin before the step that was in flight.
      wentBack ||= newer > generation && isAlone;
      if (newer <= generation || startStep === null || wentBack || step <= startStep + 1) continue;
      this.expect(
        !own.some((worker) => workers.includes(worker)),
        `${where} is not taken beside generation ${newer}, which went on from step ${startStep}`,
      );
    }
  }

  // --- nothing acknowledged is lost

  /** Nothing that was acknowledged, and nothing that a member has applied. */
  aligned(step: number, goesBack: boolean): void {
    const membership = this.#memberships.get(this.#generation);
    this.expect(membership !== undefined, 'what is aligned was formed');
    membership!.isAlone = goesBack;
    if (goesBack) for (const worker of membership!.workers) this.#applied.delete(worker);
    for (const worker of membership!.workers) {
      const newest = this.#applied.get(worker)?.step ?? 0;
      this.expect(
        step >= newest,
        `the run goes on from step ${step}, not behind step ${newest} of ${worker}`,
      );
    }
    this.#notBehindCheckpoints(step);
    membership!.startStep = step;
  }

  /** A coordinator begins with the newest checkpoint that verifies. */
  restarted(step: number | null): void {
    this.#notBehindCheckpoints(step ?? 0);
  }

  #notBehindCheckpoints(step: number): void {
    const newest = Math.max(0, ...this.#acknowledged);
    this.expect(
      step >= newest,
      `the run goes on from step ${step}, not behind the checkpoint of step ${newest}`,
    );
  }

  checkpointWritten(step: number, state: Float32Array): void {
    this.expect(
      this.isLost || hashOf(state) === this.#hashes[step],
      `the checkpoint of step ${step} is that of the quiet run`,
    );
  }

  checkpointAcknowledged(step: number): void {
    this.#acknowledged.add(step);
  }

  /** A fault took the newest: what is left is `good`, and must stay. */
  checkpointDamaged(good: readonly number[]): void {
    for (const step of this.#acknowledged) if (!good.includes(step)) this.#acknowledged.delete(step);
  }

  /** What is told was applied before, and is what the quiet run tells. */
  reported({ generation, step, sums }: MessageOf<'report'>): void {
    this.acknowledged(generation, `the report of step ${step}`);
    this.expect(this.#committed.has(step), `step ${step} is told after it was applied`);
    if (this.mayDiffer) return;
    const state = this.#quiet[step - 1]!;
    const isRight = alignedFloats(sums).every(
      (loss, shard) => loss === lossOf(this.#task, state, step, shard),
    );
    this.expect(isRight, `step ${step} is told with its losses`);
  }

  evaluated(step: number, parts: readonly MessageOf<'evaluation'>[]): void {
    for (const { generation } of parts) this.acknowledged(generation, `the evaluation after step ${step}`);
    if (this.mayDiffer) return;
    const told = parts.flatMap(({ sums }) => [...alignedFloats(sums)]);
    const right = evaluationOf(this.#task, this.#quiet[step]!, 0, this.#task.shards);
    this.expect(
      told.length === right.length && right.every((loss, i) => loss === told[i]),
      `the evaluation after step ${step} is that of the quiet run`,
    );
  }

  ended(step: number, sha: string, disk: Disk): void {
    this.expect(
      this.isLost || sha === this.#hashes[step],
      `the run ends after step ${step} with the hash of the quiet run`,
    );
    const checkpoint = disk.read(step);
    this.expect(
      disk.isDamaged(step) || (checkpoint !== null && hashOf(checkpoint) === sha),
      `the end after step ${step} is on disk as a checkpoint`,
    );
    if (step === this.#task.steps)
      this.expect(this.#committed.size === step, `each of the ${step} steps was taken`);
  }

  // --- blame

  /** Only for what it did, or what was done to it: nobody else is refused, kept out or said to be stuck. */
  blamed(isDue: boolean, what: string): void {
    this.expect(isDue, `nobody is blamed without a cause: ${what}`);
  }

  // --- the run stays the one that it was begun as

  /** After the first membership, that is: before it there is nothing that would be of other kernels. */
  welcomed(worker: string, isForeign: boolean): void {
    this.expect(!isForeign, `${worker}, which has other kernels than the run, is refused`);
  }

  // --- queues

  /** `from`: generation and rank of each. A worker that slept may find those of many generations, each once. */
  arrivalsWait(worker: string, from: readonly string[]): void {
    this.arrivalsMost = Math.max(this.arrivalsMost, from.length);
    this.expect(
      from.length === new Set(from).size && from.length <= limits.workersMax,
      `${from.length} connections that wait at ${worker} are one of each rank and generation`,
    );
  }

  swapsWait(worker: string, count: number, bytes: number): void {
    this.earlySwapsMost = Math.max(this.earlySwapsMost, count);
    this.expect(
      count <= Math.min(earlySwapsMax, limits.earlyMessagesMax) && bytes <= limits.earlyBytesMax,
      `${count} early swaps of one peer at ${worker} are at most ${earlySwapsMax}`,
    );
  }

  queues({ inFlightMost, bulkBytesMost }: Network): void {
    this.expect(
      inFlightMost <= inFlightMax,
      `${inFlightMost} messages that wait in one direction are at most ${inFlightMax}`,
    );
    const most = bulkBytesMax + bulkLoopsMax * pieceBytes;
    this.expect(bulkBytesMost <= most, `${bulkBytesMost} bytes of bulk data on the way are at most ${most}`);
  }
}

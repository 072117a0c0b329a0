// The steps of one simulated membership: the real StepMachine, AllReduce and Swap around the tiny arithmetic. Computing takes
// virtual time; memory that was given to the network is read only when it leaves, as the arena's is.

import { ProtocolError } from '../../proto/error.ts';
import type { MessageFrom, MessageOf } from '../../proto/messages.ts';
import { shardBoundaries } from '../../src/numerics/tree.ts';
import { AllReduce } from '../../worker/collective/all-reduce.ts';
import { alignedFloats, bytesOf } from '../../worker/collective/floats.ts';
import { Swap } from '../../worker/collective/swap.ts';
import { BlockAdder } from '../../worker/collective/tree-adder.ts';
import { type World, worldOf } from '../../worker/collective/world.ts';
import { accusationOf } from '../../worker/step/accusation.ts';
import { type StepEffect, type StepEvent, StepMachine } from '../../worker/step/step-machine.ts';
import {
  gradientFloats,
  gradientOf,
  lossOf,
  nodesOf,
  parameters,
  recordFloats,
  recordOf,
  treeOf,
  update,
} from './arithmetic.ts';
import { EarlySwaps } from './early-swaps.ts';
import { evaluationOf } from './observers.ts';
import { concatenated, Outboxes } from './outboxes.ts';
import { OverdueWatch, waitingFor } from './overdue.ts';
import { owedOf, planOf } from './step-plan.ts';
import type { StepsOptions } from './steps-options.ts';

const buckets = [
  { from: 0, to: 16 },
  { from: 16, to: gradientFloats },
] as const;
const reportsId = 1;
const stopFlag = 1;

type CollectiveMessage = MessageOf<'partial' | 'sum' | 'exchange' | 'shardReport'>;

export class SimSteps {
  readonly #options: StepsOptions;
  readonly #machine: StepMachine;
  readonly #world: World;
  readonly #boundaries: readonly number[];
  readonly #own: { readonly firstShard: number; readonly endShard: number };
  readonly #partials: readonly Float32Array[];
  readonly #gradient = new Float32Array(gradientFloats);
  readonly #earlySwaps: EarlySwaps;
  readonly #records: Float32Array;
  readonly #losses: Float32Array;
  #stop = false;
  readonly #allReduce: AllReduce;
  readonly #swap: Swap;
  readonly #outboxes: Outboxes;
  #over = false;
  #quiescing: ((step: number) => void) | null = null;
  #lanesBusy = false;
  #lanesStuck = false;
  #overdue: OverdueWatch | null = null;
  #startedMs = 0;

  constructor(options: StepsOptions) {
    this.#options = options;
    const { membership, worker, startStep } = options;
    const { task } = worker.simulation;
    const { members, rank } = membership;
    const alone = members.length === 1 || membership.alone;
    this.#boundaries = shardBoundaries(alone ? 1 : members.length, task.shards);
    this.#own = alone ? { firstShard: 0, endShard: task.shards } : members[rank]!;
    this.#world = worldOf(alone ? 0 : rank, this.#boundaries);
    this.#partials = Array.from(
      { length: this.#world.nodes[this.#world.rank]! },
      () => new Float32Array(gradientFloats),
    );
    this.#records = new Float32Array(this.#world.merges.length * recordFloats);
    this.#losses = new Float32Array(task.shards);
    this.#earlySwaps = new EarlySwaps(members.length);
    this.#machine = new StepMachine(planOf(options, buckets.length), startStep, owedOf(options));
    this.#outboxes = new Outboxes(worker.host, worker.simulation.random);
    this.#allReduce = this.#makeAllReduce();
    this.#swap = this.#makeSwap();
  }

  #makeAllReduce(): AllReduce {
    const { startStep, worker, membership, sendToPeer } = this.#options;
    const { random } = worker.simulation;
    const { generation } = membership;
    return new AllReduce({
      world: this.#world,
      generation,
      startStep,
      buckets,
      sizes: { pieceFloats: 16, directBytesMax: worker.simulation.directBytesMax },
      partials: this.#partials,
      gradient: this.#gradient,
      arithmetic: {
        adder: new BlockAdder(this.#world.merges),
        copy: (out, from) => out.set(from),
        release: () => undefined,
      },
      send: (to, head, parts, onLeft) =>
        this.#outboxes.leave(to, random.chance(0.3), () => {
          sendToPeer(to, { ...head, data: concatenated(parts) } as MessageFrom<'peer'>);
          onLeft?.();
        }),
      onReduced: (_step, bucket) => this.#later({ is: 'bucketReduced', bucket }),
    });
  }

  #makeSwap(): Swap {
    const { startStep, membership, sendToPeer } = this.#options;
    const { generation } = membership;
    return new Swap({
      world: this.#world,
      count: 2,
      startStep,
      bytesOf: (of, id) =>
        4 *
        (id === reportsId
          ? this.#boundaries[of + 1]! - this.#boundaries[of]!
          : this.#world.nodes[of]! * recordFloats),
      send: (to, step, id, { data, flags }) =>
        this.#outboxes.leave(to, false, () =>
          sendToPeer(
            to,
            id === reportsId
              ? { type: 'shardReport', generation, step, flags, data }
              : { type: 'exchange', generation, step, exchange: id, data },
          ),
        ),
      onPart: (from, _step, id, { data, flags }) => {
        if (id !== reportsId) {
          this.#records.set(alignedFloats(data), this.#world.nodeStarts[from]! * recordFloats);
          return;
        }
        this.#losses.set(alignedFloats(data), this.#boundaries[from]!);
        this.#stop ||= (flags & stopFlag) !== 0;
      },
      onSwapped: (_step, id) =>
        this.#later(
          id === reportsId
            ? { is: 'reportsSwapped', finite: this.#losses.every(Number.isFinite), stop: this.#stop }
            : { is: 'exchanged', exchange: id },
        ),
    });
  }

  get step(): number {
    return this.#machine.step;
  }

  get committed(): number {
    return this.#machine.committed;
  }

  begin(): void {
    const { worker, onPeerOverdue, onLanesStuck } = this.#options;
    const { host, lease } = worker;
    this.#startedMs = host.nowMs;
    this.#overdue = new OverdueWatch({
      host,
      lease,
      shards: this.#shardsMax,
      lanesBusy: () => this.#lanesBusy,
      waitingFor: () => waitingFor(this.#allReduce, this.#swap, this.#machine.step),
      onLanesStuck: () => {
        this.#lanesStuck = true;
        onLanesStuck(this.#machine.step);
        this.#endIfIdle();
      },
      onPeerOverdue: (rank, why) => onPeerOverdue(rank, `step ${this.#machine.step}: ${why}`),
    });
    this.#handle({ is: 'begin' });
  }

  stop(): void {
    this.#handle({ is: 'stop' });
  }

  get #shardsMax(): number {
    const { membership, worker } = this.#options;
    const members = membership.alone ? 1 : membership.members.length;
    return Math.ceil(worker.simulation.task.shards / members);
  }

  /** `steps` steps were done since the last time. */
  #measure(steps: number): void {
    const { host, lease } = this.#options.worker;
    lease.took((host.nowMs - this.#startedMs) / steps, this.#shardsMax);
    this.#overdue?.progressed();
    this.#startedMs = host.nowMs;
  }

  quiesce(done: (step: number) => void): void {
    this.#quiescing = done;
    this.#endIfIdle();
  }

  /** Throws ProtocolError. */
  receive(from: number, message: CollectiveMessage): void {
    if (message.step === this.#options.verifyStep && !alignedFloats(message.data).every(Number.isFinite))
      throw new ProtocolError('notFinite', `${message.type} of step ${message.step} is not finite`);
    if (message.type === 'partial' || message.type === 'sum') {
      this.#allReduce.receive(from, message);
      return;
    }
    const id = message.type === 'exchange' ? message.exchange : reportsId;
    const flags = message.type === 'exchange' ? 0 : message.flags;
    this.#swap.receive(from, message.step, id, { data: message.data, flags });
    const { host, simulation } = this.#options.worker;
    const { parts, bytes } = this.#earlySwaps.came(from, message.step, id, message.data.length);
    simulation.observers.swapsWait(host.name, parts, bytes);
  }

  #endIfIdle(): void {
    const done = this.#quiescing;
    if (done === null || (this.#lanesBusy && !this.#lanesStuck)) return;
    this.#quiescing = () => undefined;
    this.#becomeOver();
    done(this.#machine.committed);
  }

  #becomeOver(): void {
    this.#over = true;
    this.#overdue?.end();
  }

  #handle(event: StepEvent): void {
    if (this.#over) return;
    const effects = this.#machine.handle(event);
    if (this.#quiescing !== null) return;
    const { host, simulation } = this.#options.worker;
    for (const effect of effects) {
      if (!host.isAlive || simulation.crashesHere(host)) return;
      this.#carryOut(effect);
    }
  }

  /** As a promise would: after what is being done. */
  #later(event: StepEvent): void {
    this.#options.worker.host.after(0, () => this.#handle(event));
  }

  #setBusy(isBusy: boolean): void {
    if (this.#lanesBusy === isBusy) return;
    this.#lanesBusy = isBusy;
    this.#overdue?.turned();
  }

  #lanes(ms: number, done: () => StepEvent): void {
    this.#setBusy(true);
    const { host, simulation } = this.#options.worker;
    host.compute(simulation.computeMs * ms, () => {
      const event = done();
      this.#setBusy(false);
      this.#handle(event);
      this.#endIfIdle();
    });
  }

  #carryOut(effect: StepEffect): void {
    const { worker, snapshot, onFinished } = this.#options;
    switch (effect.do) {
      case 'runSegment':
        if (effect.segment === 0) this.#firstSegment(effect.step);
        else this.#secondSegment(effect.step);
        return;
      case 'exchange': {
        const { rank, nodeStarts } = this.#world;
        const own = this.#records.slice(
          nodeStarts[rank]! * recordFloats,
          nodeStarts[rank + 1]! * recordFloats,
        );
        this.#earlySwaps.begin(effect.step, effect.exchange);
        if (worker.simulation.broken === 'swapsAhead') this.#swapAhead(effect.step + 1, bytesOf(own));
        this.#swap.begin(effect.step, effect.exchange, { data: bytesOf(own), flags: 0 });
        return;
      }
      case 'reduce':
        this.#allReduce.ready(effect.step, effect.bucket);
        return;
      case 'swapReports': {
        this.#stop = effect.stop;
        const own = this.#losses.slice(this.#own.firstShard, this.#own.endShard);
        this.#earlySwaps.begin(effect.step, reportsId);
        this.#swap.begin(effect.step, reportsId, { data: bytesOf(own), flags: effect.stop ? stopFlag : 0 });
        return;
      }
      case 'runUpdate':
        if (worker.simulation.broken === 'reportsBeforeUpdate') this.#report(effect.step);
        this.#lanes(1, () => {
          const finite = this.#gradient.subarray(0, parameters).every(Number.isFinite);
          if (finite) this.#commit(effect.step, this.#gradient);
          return { is: 'updated', finite };
        });
        return;
      case 'runTask':
        this.#runTask(effect.step, effect.steps);
        return;
      case 'report':
        this.#report(effect.step);
        return;
      case 'evaluate':
        this.#lanes(2, () => this.#evaluate(effect.step));
        return;
      case 'digest': {
        const { generation } = this.#options.membership;
        this.#options.send({
          type: 'digest',
          generation,
          step: effect.step,
          digest: worker.simulation.digestOf(this.#options.state),
        });
        return;
      }
      case 'snapshot':
        snapshot(effect.step, effect.last);
        return;
      case 'finish':
        this.#becomeOver();
        onFinished(effect.step);
        return;
      case 'diagnose':
        this.#diagnose(effect.step);
        return;
      default:
        effect satisfies never;
    }
  }

  /** Computed alone every step of this model is finite: it came of another. */
  #diagnose(step: number): void {
    const { membership, verifyStep, onAccused } = this.#options;
    this.#overdue?.end();
    onAccused(step, accusationOf(this.#losses, membership.members, membership.rank, step === verifyStep));
  }

  #swapAhead(step: number, data: Uint8Array): void {
    const { membership, sendToPeer } = this.#options;
    const { generation } = membership;
    for (const rank of this.#world.others)
      sendToPeer(rank, { type: 'exchange', generation, step, exchange: 0, data });
  }

  #firstSegment(step: number): void {
    const { worker, state } = this.#options;
    const { task, random } = worker.simulation;
    const { firstShard, endShard } = this.#own;
    this.#setBusy(true);
    worker.host.compute(worker.simulation.computeMs * random.between(0.5, 1.5), () => {
      const own = nodesOf(task, firstShard, endShard, (shard) => recordOf(task, state, step, shard));
      const first = this.#world.nodeStarts[this.#world.rank]!;
      for (const [i, record] of own.entries()) this.#records.set(record, (first + i) * recordFloats);
      for (let shard = firstShard; shard < endShard; shard += 1)
        this.#losses[shard] = lossOf(task, state, step, shard);
      this.#handle({ is: 'exchangeReady', exchange: 0 });
      this.#lanes(0.2, () => ({ is: 'segmentDone' }));
    });
  }

  /** Buckets become ready while the segment runs, the last one first. */
  #secondSegment(step: number): void {
    const { worker, membership } = this.#options;
    const { task, observers } = worker.simulation;
    const { firstShard, endShard } = this.#own;
    const record = new Float32Array(recordFloats);
    const records = Array.from({ length: this.#world.merges.length }, (_, i) =>
      this.#records.slice(i * recordFloats, (i + 1) * recordFloats),
    );
    new BlockAdder(this.#world.merges).add(record, records);
    this.#setBusy(true);
    worker.host.compute(worker.simulation.computeMs, () => {
      const nodes = nodesOf(task, firstShard, endShard, (shard) => this.#gradientOf(step, shard, record));
      observers.computed(worker.host.name, membership.generation, step, firstShard, endShard);
      const emit = (bucket: 0 | 1): void => {
        const { from, to } = buckets[bucket];
        for (const [i, node] of nodes.entries()) this.#partials[i]!.set(node.subarray(from, to), from);
        this.#handle({ is: 'bucketReady', bucket });
      };
      emit(1);
      worker.host.compute(worker.simulation.computeMs * 0.5, () => {
        emit(0);
        this.#lanes(0.2, () => ({ is: 'segmentDone' }));
      });
    });
  }

  #gradientOf(step: number, shard: number, record: Float32Array): Float32Array {
    const { worker, state } = this.#options;
    const { task, samplesOf, broken } = worker.simulation;
    // The twin that breaks the rule takes the shard before its own once more.
    const taken = broken === 'takesShardTwice' && shard === this.#own.firstShard + 1 ? shard - 1 : shard;
    return gradientOf(task, state, record, step, taken, samplesOf(step, taken));
  }

  #commit(step: number, gradient: Float32Array): void {
    const { worker, state, membership } = this.#options;
    update(worker.simulation.task, state, gradient, step);
    if (worker.simulation.broken === 'countsWorkers') state[0]! += membership.members.length * 2 ** -20;
    worker.simulation.observers.committed(worker.host.name, membership, step, state);
  }

  #runTask(step: number, steps: number): void {
    const { worker, state, membership } = this.#options;
    const { task, observers } = worker.simulation;
    this.#lanes(2 * steps, () => {
      for (let each = step; each < step + steps; each += 1) {
        const record = treeOf(0, task.shards, (shard) => recordOf(task, state, each, shard));
        for (let shard = 0; shard < task.shards; shard += 1)
          this.#losses[shard] = lossOf(task, state, each, shard);
        const gradient = treeOf(0, task.shards, (shard) => this.#gradientOf(each, shard, record));
        observers.computed(worker.host.name, membership.generation, each, 0, task.shards);
        this.#commit(each, gradient);
        this.#taskLosses.set(each, this.#losses.slice());
      }
      this.#measure(steps);
      return { is: 'taskDone', steps, finite: true, secondsPerStep: 0.02 };
    });
  }

  /** Alone: losses of the steps of one task, until they are told. */
  readonly #taskLosses = new Map<number, Float32Array>();

  #report(step: number): void {
    const { membership, send, worker } = this.#options;
    if (membership.members.length > 1 && !membership.alone) this.#measure(1);
    const { broken } = worker.simulation;
    const losses = this.#taskLosses.get(step) ?? this.#losses.slice();
    this.#taskLosses.delete(step);
    if (membership.rank !== 0) return;
    if (broken === 'reportsOtherLosses') losses.reverse();
    const { generation } = membership;
    send({ type: 'report', generation, step, sums: bytesOf(losses), gradientNorm: 1, seconds: 0.01 });
  }

  #evaluate(step: number): StepEvent {
    const { membership, send, state, worker } = this.#options;
    if (this.#quiescing !== null) return { is: 'evaluated' };
    const { firstShard, endShard } = this.#own;
    const { task, broken } = worker.simulation;
    const shift = broken === 'evaluatesOtherShards' ? 1 : 0;
    const sums = evaluationOf(task, state, firstShard + shift, endShard + shift);
    send({ type: 'evaluation', generation: membership.generation, step, firstShard, sums: bytesOf(sums) });
    // The others may be at it for longer.
    this.#overdue?.progressed(worker.host.nowMs - this.#startedMs);
    this.#startedMs = worker.host.nowMs;
    return { is: 'evaluated' };
  }
}

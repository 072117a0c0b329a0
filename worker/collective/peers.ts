// The collectives of one generation over its mesh (I/O): what the steps call, and where messages of peers go.

import type { StreamedHead } from '../../proto/codec.ts';
import { ProtocolError } from '../../proto/error.ts';
import type { MessageOf } from '../../proto/messages.ts';
import type { TensorReceiver } from '../../proto/transport/tensor-tap.ts';
import type { EngineMemory } from '../../src/engine/memory.ts';
import { assert } from '../../src/errors.ts';
import type { Backend } from '../../src/kernels/backend.ts';
import { type Deferred, deferred } from '../../src/platform/deferred.ts';
import type { CollectiveMessage, Mesh } from '../mesh.ts';
import type { StepPeers, SwappedReports } from '../step/peers.ts';
import { AllReduce } from './all-reduce.ts';
import { type Arithmetic, arithmeticOf } from './arithmetic.ts';
import { type Delivery, deliveryOf, promptDelivery } from './delivery.ts';
import { alignedFloats, bytesOf } from './floats.ts';
import { chunkSizes } from './sizes.ts';
import { Swap, type SwapPart } from './swap.ts';
import { type World, worldOf } from './world.ts';

export interface OpenPeersOptions {
  readonly mesh: Mesh;
  readonly membership: Pick<MessageOf<'membership'>, 'generation' | 'rank'>;
  /** Steps committed so far. */
  readonly startStep: number;
  readonly memory: EngineMemory;
  /** Its kernel adds the nodes. */
  readonly backend: Backend;
  /** A step in which every number that comes from a peer is looked at; null for none. */
  readonly verifyStep: number | null;
  /** Delays of tests; as the environment says unless given. */
  readonly delivery?: Delivery;
}

/** Bit of the flags of a shard report: finish this step, then stop. */
const stopFlag = 1;

const key = (step: number, id: number): string => `${step}.${id}`;

/** Takes messages from the moment it is made; nothing is lost between the mesh and the first step. */
export class Peers implements StepPeers {
  readonly #memory: EngineMemory;
  readonly #mesh: Mesh;
  readonly #generation: number;
  readonly #world: World;
  readonly #arithmetic: Arithmetic;
  readonly #allReduce: AllReduce;
  readonly #swap: Swap;
  readonly #reduced = new Map<string, Deferred<void>>();
  readonly #swapped = new Map<string, Deferred<void>>();
  /** The id of the reports' swap; those below are exchanges. */
  readonly #reportsId: number;
  readonly #delivery: Delivery;
  readonly #verifyStep: number | null;
  #sums: Float32Array = new Float32Array(0);
  #stop = false;

  constructor({ mesh, membership, startStep, memory, backend, verifyStep, delivery }: OpenPeersOptions) {
    const { compiled } = memory;
    const { boundaries } = compiled.assignment;
    const { generation, rank } = membership;
    this.#memory = memory;
    this.#mesh = mesh;
    this.#verifyStep = verifyStep;
    this.#delivery = delivery ?? deliveryOf(process.env);
    this.#generation = generation;
    this.#world = worldOf(rank, boundaries);
    this.#reportsId = compiled.exchanges.length;
    const floats = memory.arena.floats;
    assert(floats instanceof Float32Array, 'workers exchange float32');
    const { offset, stride, nodes } = compiled.partials;
    this.#arithmetic = arithmeticOf(backend, this.#world.merges);
    this.#allReduce = new AllReduce({
      world: this.#world,
      generation,
      startStep,
      buckets: compiled.buckets,
      sizes: chunkSizes,
      partials: Array.from({ length: nodes }, (_, j) =>
        floats.subarray(offset + j * stride, offset + (j + 1) * stride),
      ),
      gradient: memory.gradient as Float32Array,
      arithmetic: this.#arithmetic,
      send: (to, head, parts, onLeft) => {
        mesh.connection(to).sendTensor(head, parts, onLeft);
      },
      onReduced: (step, bucket) => settle(this.#reduced, key(step, bucket)),
    });
    this.#swap = new Swap({
      world: this.#world,
      count: compiled.exchanges.length + 1,
      startStep,
      bytesOf: (of, id) => 4 * this.#floatsOf(of, id),
      send: (to, step, id, part) => this.#sendPart(to, step, id, part),
      onPart: (from, _step, id, part) => this.#takePart(from, id, part),
      onSwapped: (step, id) => settle(this.#swapped, key(step, id)),
    });
  }

  reduce(step: number, bucket: number): Promise<void> {
    const done = waitFor(this.#reduced, key(step, bucket));
    this.#allReduce.ready(step, bucket);
    return done;
  }

  exchange(step: number, exchange: number): Promise<void> {
    const done = waitFor(this.#swapped, key(step, exchange));
    const { recordSize } = this.#memory.compiled.exchanges[exchange]!;
    const { rank, nodeStarts } = this.#world;
    const records = this.#memory.exchanged(exchange) as Float32Array;
    const own = records.subarray(nodeStarts[rank]! * recordSize, nodeStarts[rank + 1]! * recordSize);
    // A copy: the program goes on and may use this memory again before the last of the others has it.
    this.#swap.begin(step, exchange, { data: bytesOf(own).slice(), flags: 0 });
    return done;
  }

  async swapReports(step: number, sums: Float32Array, stop: boolean): Promise<SwappedReports> {
    const done = waitFor(this.#swapped, key(step, this.#reportsId));
    const { firstShard, endShard } = this.#memory.compiled.assignment;
    const reports = this.#memory.compiled.reports.length;
    const own = sums.slice(firstShard * reports, endShard * reports);
    this.#sums = sums;
    this.#stop = stop;
    this.#swap.begin(step, this.#reportsId, { data: bytesOf(own), flags: stop ? stopFlag : 0 });
    await done;
    return { sums: this.#sums, stop: this.#stop };
  }

  /** Who takes a large tensor while it comes. Throws ProtocolError for what does not fit. */
  openTensor(rank: number, head: StreamedHead, dataBytes: number): TensorReceiver | null {
    const isWhole = this.#delivery !== promptDelivery || head.step === this.#verifyStep;
    return isWhole ? null : this.#allReduce.open(rank, head, dataBytes);
  }

  /** Memory of bytes that nobody holds any more. */
  release(chunk: Uint8Array): void {
    this.#arithmetic.release(chunk);
  }

  /** What does not fit ends the connection it came by. */
  receive(rank: number, message: CollectiveMessage): void {
    this.#delivery.deliver(() => {
      try {
        this.#take(rank, message);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        this.#mesh.connection(rank).refuse(error);
      }
    });
  }

  #take(rank: number, message: CollectiveMessage): void {
    if (message.generation !== this.#generation) return;
    if (message.step === this.#verifyStep) refuseUnlessFinite(message);
    switch (message.type) {
      case 'partial':
      case 'sum':
        this.#allReduce.receive(rank, message);
        return;
      case 'exchange':
        if (message.exchange >= this.#reportsId)
          throw new ProtocolError('unexpected', 'there is no such exchange');
        this.#swap.receive(rank, message.step, message.exchange, { data: message.data, flags: 0 });
        return;
      case 'shardReport':
        this.#swap.receive(rank, message.step, this.#reportsId, message);
        return;
      default:
        message satisfies never;
    }
  }

  /** Ranks whose own part of this step is missing; where none is, those whose sums are. */
  waitingFor(step: number): readonly number[] {
    const { partials, sums } = this.#allReduce.missing(step);
    const own = new Set([...partials, ...this.#swap.missing(step)]);
    return [...(own.size > 0 ? own : sums)];
  }

  #floatsOf(rank: number, id: number): number {
    const { assignment, exchanges, reports } = this.#memory.compiled;
    if (id < this.#reportsId) return this.#world.nodes[rank]! * exchanges[id]!.recordSize;
    return (assignment.boundaries[rank + 1]! - assignment.boundaries[rank]!) * reports.length;
  }

  #sendPart(to: number, step: number, id: number, { data, flags }: SwapPart): void {
    const generation = this.#generation;
    const head =
      id === this.#reportsId
        ? ({ type: 'shardReport', generation, step, flags } as const)
        : ({ type: 'exchange', generation, step, exchange: id } as const);
    this.#mesh.connection(to).sendTensor(head, [data]);
  }

  #takePart(from: number, id: number, { data, flags }: SwapPart): void {
    const floats = alignedFloats(data);
    if (id === this.#reportsId) {
      const { boundaries } = this.#memory.compiled.assignment;
      this.#sums.set(floats, boundaries[from]! * this.#memory.compiled.reports.length);
      this.#stop ||= (flags & stopFlag) !== 0;
      return;
    }
    const { recordSize } = this.#memory.compiled.exchanges[id]!;
    this.#memory.exchanged(id).set(floats, this.#world.nodeStarts[from]! * recordSize);
  }
}

function refuseUnlessFinite(message: CollectiveMessage): void {
  const { type, step, data } = message;
  if (alignedFloats(data).every(Number.isFinite)) return;
  throw new ProtocolError('notFinite', `${type} of step ${step} with numbers that are not finite`);
}

/** A promise for `name`, to be settled once. */
function waitFor(waiting: Map<string, Deferred<void>>, name: string): Promise<void> {
  const waiter = deferred<void>();
  waiting.set(name, waiter);
  return waiter.promise;
}

function settle(waiting: Map<string, Deferred<void>>, name: string): void {
  waiting.get(name)?.resolve();
  waiting.delete(name);
}

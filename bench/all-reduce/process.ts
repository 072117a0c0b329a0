// One of the processes of the all-reduce benchmark: connects with the others as workers do, and times rank 0's rounds.

import type { StreamedHead } from '../../proto/codec.ts';
import { ProtocolError } from '../../proto/error.ts';
import { limits } from '../../proto/limits.ts';
import type { MessageOf } from '../../proto/messages.ts';
import type { TensorReceiver } from '../../proto/transport/tensor-tap.ts';
import { Token } from '../../proto/transport/token.ts';
import { selectBackend } from '../../src/kernels/select.ts';
import { type Deferred, deferred } from '../../src/platform/deferred.ts';
import { AllReduce } from '../../worker/collective/all-reduce.ts';
import { type Arithmetic, arithmeticOf } from '../../worker/collective/arithmetic.ts';
import { chunkSizes } from '../../worker/collective/sizes.ts';
import { Swap } from '../../worker/collective/swap.ts';
import { type World, worldOf } from '../../worker/collective/world.ts';
import { Mesh, type PeerMessage } from '../../worker/mesh.ts';
import { PeerListener } from '../../worker/peer-listener.ts';
import type { FromProcess, Round, ToProcess } from './rounds.ts';

const host = '127.0.0.1';
const { backend } = selectBackend(undefined);
const checksum = backend.bytes?.checksum;
const tell = (message: FromProcess): void => {
  process.send!(message);
};

class Member {
  readonly #world: World;
  readonly #mesh: Mesh;
  readonly #barrier: Swap;
  readonly #arithmetic: Arithmetic;
  #barriers = 0;
  #passed: Deferred<void> = deferred();
  #reduce: AllReduce | null = null;

  private constructor(mesh: Mesh, world: World) {
    this.#mesh = mesh;
    this.#world = world;
    this.#arithmetic = arithmeticOf(backend, world.merges);
    this.#barrier = new Swap({
      world,
      count: 1,
      startStep: 0,
      bytesOf: () => 0,
      send: (rank, step, _id, { data, flags }) =>
        mesh.connection(rank).sendTensor({ type: 'shardReport', generation: 0, step, flags }, [data]),
      onPart: () => undefined,
      onSwapped: () => this.#passed.resolve(),
    });
  }

  static async join(
    listener: PeerListener,
    token: Token,
    ports: readonly number[],
    rank: number,
  ): Promise<Member> {
    let member: Member | null = null;
    const early: [number, PeerMessage][] = [];
    const members = ports.map((port, r) => ({
      workerId: `${r}`,
      host,
      port,
      firstShard: r,
      endShard: r + 1,
    }));
    const membership: MessageOf<'membership'> = {
      type: 'membership',
      generation: 0,
      members,
      rank,
      endStep: 0,
      alone: false,
    };
    const mesh = await Mesh.form({
      listener,
      membership,
      runId: 'bench',
      token,
      checksum,
      signal: new AbortController().signal,
      silenceMs: () => limits.silenceWhileFormingMs,
      handlers: {
        onMessage: (from, message) => {
          if (member === null) early.push([from, message]);
          else member.#receive(from, message);
        },
        openTensor: (from, head, dataBytes) => (member === null ? null : member.#open(from, head, dataBytes)),
        release: (chunk) => member?.release(chunk),
        onLost: (from, why) => {
          throw new Error(`lost rank ${from}: ${why}`);
        },
        onMisconduct: (from, what) => {
          throw new Error(`rank ${from}: ${what}`);
        },
      },
    });
    member = new Member(
      mesh,
      worldOf(
        rank,
        Array.from({ length: ports.length + 1 }, (_, r) => r),
      ),
    );
    for (const [from, message] of early) member.#receive(from, message);
    return member;
  }

  #receive(rank: number, message: PeerMessage): void {
    if (message.type === 'shardReport') this.#barrier.receive(rank, message.step, 0, message);
    else if (message.type === 'partial' || message.type === 'sum') this.#reduce!.receive(rank, message);
    else throw new ProtocolError('unexpected', 'there are no exchanges here');
  }

  #open(rank: number, head: StreamedHead, dataBytes: number): TensorReceiver | null {
    return this.#reduce === null ? null : this.#reduce.open(rank, head, dataBytes);
  }

  release(chunk: Uint8Array): void {
    this.#arithmetic.release(chunk);
  }

  async meet(): Promise<void> {
    this.#passed = deferred();
    this.#barriers += 1;
    this.#barrier.begin(this.#barriers, 0, { data: new Uint8Array(0), flags: 0 });
    await this.#passed.promise;
  }

  /** Milliseconds of each timed round. */
  async measure({ bytes, warmUps, rounds }: Round, generation: number): Promise<number[]> {
    const { rank, size } = this.#world;
    const floats = bytes / 4;
    const partial = new Float32Array(new SharedArrayBuffer(bytes));
    const gradient = new Float32Array(new SharedArrayBuffer(bytes));
    for (let i = 0; i < floats; i++) partial[i] = (i % 1000) + rank;
    let reduced: Deferred<void> = deferred();
    const machine = new AllReduce({
      world: this.#world,
      generation,
      startStep: 0,
      buckets: [{ from: 0, to: floats }],
      sizes: chunkSizes,
      partials: [partial],
      gradient,
      arithmetic: this.#arithmetic,
      send: (to, head, parts, onLeft) => this.#mesh.connection(to).sendTensor(head, parts, onLeft),
      onReduced: () => reduced.resolve(),
    });
    this.#reduce = machine;
    const times: number[] = [];
    for (let step = 1; step <= warmUps + rounds; step++) {
      await this.meet();
      const start = performance.now();
      reduced = deferred();
      machine.ready(step, 0);
      await reduced.promise;
      if (step > warmUps) times.push(performance.now() - start);
    }
    for (let i = 0; i < floats; i++)
      if (gradient[i] !== size * (i % 1000) + (size * (size - 1)) / 2) throw new Error(`wrong sum at ${i}`);
    await this.meet();
    return times;
  }
}

const token = Token.parse(process.env.LOCKSTEP_TOKEN ?? '', 'LOCKSTEP_TOKEN');
const listener = await PeerListener.open({ host, port: 0, token, checksum, insecure: false });
tell({ is: 'listening', port: listener.port });
process.once('message', async (message) => {
  const { ports, rank, rounds } = message as ToProcess;
  const member = await Member.join(listener, token, ports, rank);
  for (const [index, round] of rounds.entries()) {
    const milliseconds = await member.measure(round, index + 1);
    if (rank === 0) tell({ is: 'measured', index, milliseconds });
  }
  // Others may still wait for one of the others: none goes before all are through.
  process.once('disconnect', () => process.exit(0));
  tell({ is: 'finished' });
});

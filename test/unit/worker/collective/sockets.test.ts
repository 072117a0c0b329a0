// The all-reduce over real sockets: in this process with arrivals shuffled by seeds, and between several processes.

import { afterEach, describe, expect, it } from 'vitest';
import { measureAllReduce } from '../../../../bench/all-reduce/bench.ts';
import { limits } from '../../../../proto/limits.ts';
import type { MessageOf } from '../../../../proto/messages.ts';
import { Token } from '../../../../proto/transport/token.ts';
import { wholeNodes } from '../../../../src/numerics/tree.ts';
import { deferred } from '../../../../src/platform/deferred.ts';
import { AllReduce } from '../../../../worker/collective/all-reduce.ts';
import { copyBytes } from '../../../../worker/collective/arithmetic.ts';
import { type Delivery, promptDelivery, ShuffledDelivery } from '../../../../worker/collective/delivery.ts';
import { bytesOf } from '../../../../worker/collective/floats.ts';
import { BlockAdder } from '../../../../worker/collective/tree-adder.ts';
import { worldOf } from '../../../../worker/collective/world.ts';
import { Mesh } from '../../../../worker/mesh.ts';
import { PeerListener } from '../../../../worker/peer-listener.ts';
import { expectedGradient, shardGradient, treeSum } from './cluster.ts';

const host = '127.0.0.1';
const cleanUp: (() => unknown)[] = [];

afterEach(async () => {
  for (const action of cleanUp.splice(0).reverse()) await action();
});

interface Node {
  /** Runs one step; resolves with the gradient's bytes. */
  step(step: number): Promise<Uint8Array>;
}

const floats = 50_000;
const buckets = [
  { from: 0, to: 100 },
  { from: 100, to: floats },
];

interface Joining {
  readonly boundaries: readonly number[];
  readonly members: MessageOf<'membership'>['members'];
  readonly token: Token;
  readonly listener: PeerListener;
  readonly rank: number;
  readonly delivery: Delivery;
}

async function join({ boundaries, members, token, listener, rank, delivery }: Joining): Promise<Node> {
  const world = worldOf(rank, boundaries);
  const partials = Array.from({ length: world.nodes[rank]! }, sharedVector);
  const gradient = sharedVector();
  let open = 0;
  let reduced = deferred<void>();
  let machine: AllReduce | null = null;
  const mesh = await Mesh.form({
    listener,
    membership: {
      type: 'membership',
      generation: 1,
      alone: false,
      members,
      rank,
      endStep: 9,
    },
    runId: 'test',
    token,
    signal: new AbortController().signal,
    silenceMs: () => limits.silenceWhileFormingMs,
    handlers: {
      onMessage: (from, message) => {
        if (message.type === 'partial' || message.type === 'sum')
          delivery.deliver(() => machine!.receive(from, message));
      },
      openTensor: (from, head, dataBytes) =>
        delivery === promptDelivery ? machine!.open(from, head, dataBytes) : null,
      onLost: () => undefined,
      onMisconduct: () => undefined,
    },
  });
  cleanUp.push(() => mesh.close());
  machine = new AllReduce({
    world,
    generation: 1,
    startStep: 0,
    buckets,
    sizes: { pieceFloats: 4096, directBytesMax: 4096 },
    partials,
    gradient,
    arithmetic: { adder: new BlockAdder(world.merges), copy: copyBytes, release: () => undefined },
    send: (to, head, parts, onLeft) => mesh.connection(to).sendTensor(head, parts, onLeft),
    onReduced: () => {
      open -= 1;
      if (open === 0) reduced.resolve();
    },
  });
  return {
    async step(step) {
      wholeNodes(boundaries[rank]!, boundaries[rank + 1]!, boundaries.at(-1)!).forEach(({ lo, hi }, node) => {
        partials[node]!.set(treeSum(lo, hi, (shard) => shardGradient(shard, step, floats)));
      });
      reduced = deferred();
      open = buckets.length;
      machine!.ready(step, 1);
      machine!.ready(step, 0);
      await reduced.promise;
      return Uint8Array.from(bytesOf(gradient));
    },
  };
}

it('a worker without TLS of its own does not dial a peer on another machine', async () => {
  const token = Token.generate();
  const listener = await PeerListener.open({ host, port: 0, token, insecure: false });
  cleanUp.push(() => listener.close());
  const members = [
    { workerId: 'far', host: '192.0.2.1', port: 9, firstShard: 0, endShard: 1 },
    { workerId: 'near', host, port: listener.port, firstShard: 1, endShard: 2 },
  ];
  const forming = Mesh.form({
    listener,
    membership: { type: 'membership', generation: 1, members, rank: 1, endStep: 9, alone: false },
    runId: 'test',
    token,
    tls: { ca: 'an authority that only the coordinator is known by' },
    silenceMs: () => limits.silenceWhileFormingMs,
    handlers: { onMessage: () => undefined, onLost: () => undefined, onMisconduct: () => undefined },
  });
  await expect(forming).rejects.toMatchObject({
    ...{ name: 'MeshError', ranks: [0] },
    message: expect.stringMatching(/^the run would go to 192\.0\.2\.1:9 over the network in clear/),
  });
});

function sharedVector(): Float32Array {
  return new Float32Array(new SharedArrayBuffer(floats * 4));
}

async function joinMesh(
  boundaries: readonly number[],
  deliveryOf: (rank: number) => Delivery,
): Promise<Node[]> {
  const token = Token.generate();
  const listeners = await Promise.all(
    boundaries.slice(1).map(() => PeerListener.open({ host, port: 0, token, insecure: false })),
  );
  for (const listener of listeners) cleanUp.push(() => listener.close());
  const members = listeners.map(({ port }, rank) => ({
    workerId: `w${rank}`,
    host,
    port,
    firstShard: boundaries[rank]!,
    endShard: boundaries[rank + 1]!,
  }));
  return Promise.all(
    listeners.map((listener, rank) =>
      join({ boundaries, members, token, listener, rank, delivery: deliveryOf(rank) }),
    ),
  );
}

describe('all-reduce over sockets', () => {
  it.each([
    ['1 worker', [0, 8]],
    ['2 workers', [0, 4, 8]],
    ['3 workers that cannot share evenly', [0, 3, 6, 8]],
    ['4 workers, one without shards', [0, 3, 3, 6, 8]],
    ['5 workers', [0, 1, 3, 5, 6, 8]],
  ])('of %s gives the bytes of the tree, in order or shuffled', async (_name, boundaries) => {
    for (const deliveryOf of [() => promptDelivery, (rank: number) => new ShuffledDelivery(rank + 1, 1)]) {
      const nodes = await joinMesh(boundaries, deliveryOf);
      for (const step of [1, 2]) {
        const results = await Promise.all(nodes.map((node) => node.step(step)));
        const expected = bytesOf(expectedGradient(boundaries, step, floats));
        for (const result of results) expect(Buffer.compare(result, expected)).toBe(0);
      }
    }
  });

  it.each([2, 3])('works between %i processes, whose sums they check themselves', async (processes) => {
    const rounds = [
      { name: 'small', bytes: 4096, warmUps: 1, rounds: 3 },
      { name: 'odd', bytes: 4 * 300_001, warmUps: 1, rounds: 3 },
    ];
    const milliseconds = await measureAllReduce(processes, rounds);
    expect(milliseconds).toHaveLength(2);
    expect(milliseconds.every((time) => time > 0)).toBe(true);
  });
});

// Who reaches a worker over real sockets: strangers to come, with the token, do not keep the honest ones out.

import { afterEach, expect, it } from 'vitest';
import type { MessageOf } from '../../../proto/messages.ts';
import { connect } from '../../../proto/transport/client.ts';
import type { CloseReason, Connection } from '../../../proto/transport/connection.ts';
import { Token } from '../../../proto/transport/token.ts';
import { peerPath } from '../../../proto/version.ts';
import { deferred } from '../../../src/platform/deferred.ts';
import { Mesh } from '../../../worker/mesh.ts';
import { type Arrival, PeerListener } from '../../../worker/peer-listener.ts';

const host = '127.0.0.1';
const token = Token.generate();
const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const action of cleanUp.splice(0).reverse()) await action();
});

async function listener(bounds?: { waitingMax: number; helloMs: number }): Promise<PeerListener> {
  const opened = await PeerListener.open({
    ...{ host, port: 0, token, insecure: false },
    ...(bounds === undefined ? {} : { bounds }),
  });
  cleanUp.push(() => opened.close());
  return opened;
}

const greeting = (generation: number, rank: number): MessageOf<'peerHello'> => ({
  ...{ type: 'peerHello', runId: 'run', generation, rank },
});

interface Dialled {
  readonly connection: Connection<'peer'>;
  readonly closed: Promise<CloseReason>;
}

async function dial(to: PeerListener, hello: MessageOf<'peerHello'> | null): Promise<Dialled> {
  const connection = await connect({
    ...{ local: 'peer', host, port: to.port, path: peerPath, role: 'peer', token },
  });
  cleanUp.push(() => connection.destroy());
  const closed = deferred<CloseReason>();
  connection.start({ onMessage: () => undefined, onClose: closed.resolve });
  if (hello !== null) connection.send(hello);
  return { connection, closed: closed.promise };
}

it('of too many that wait those go that are furthest ahead', async () => {
  const here = await listener({ waitingMax: 3, helloMs: 10_000 });
  const far = [];
  for (const rank of [1, 2, 3]) far.push(await dial(here, greeting(1_000_000 + rank, rank)));
  await dial(here, greeting(5, 1));
  await far[2]!.closed;
  await dial(here, greeting(5, 2));
  await far[1]!.closed;
  const both = deferred<void>();
  const taken: number[] = [];
  here.take(5, (arrival: Arrival) => {
    taken.push(arrival.hello.rank);
    if (taken.length === 2) both.resolve();
  });
  await both.promise;
  expect(taken.sort()).toEqual([1, 2]);
});

it('one waits of each rank and generation: the first', async () => {
  const here = await listener();
  const first = await dial(here, greeting(5, 1));
  const second = await dial(here, greeting(5, 1));
  expect(await second.closed).toMatchObject({ kind: 'remote', text: 'another waits with this rank' });
  expect(first.connection.isOpen).toBe(true);
});

it('who does not say who it is does not stay, nor do too many of them', async () => {
  const here = await listener({ waitingMax: 2, helloMs: 150 });
  const silent = [];
  for (let i = 0; i < 3; i += 1) silent.push(await dial(here, null));
  const first = await Promise.race(silent.map(({ closed }, i) => closed.then(() => i)));
  expect(first).toBe(0);
  await Promise.all(silent.map(({ closed }) => closed));
});

it('who dials a member that gave up is told so, and does not take it for lost', async () => {
  const [here, there] = [await listener(), await listener()];
  const members = [here, there].map(({ port }, rank) => ({
    ...{ workerId: `w${rank}`, host, port, firstShard: rank, endShard: rank + 1 },
  }));
  const membership = { type: 'membership', generation: 1, members, endStep: 9, alone: false } as const;
  const lost: string[] = [];
  const ended = new AbortController();
  const handlers = {
    onMessage: () => undefined,
    onLost: (_rank: number, why: string) => lost.push(why),
    onMisconduct: (_rank: number, what: string) => lost.push(what),
  };
  const common = { runId: 'run', token, insecure: false, handlers, silenceMs: () => 5_000 };
  const gaveUp = Mesh.form({
    ...common,
    listener: here,
    membership: { ...membership, rank: 0 },
    signal: ended.signal,
  });
  ended.abort();
  await expect(gaveUp).rejects.toThrow('given up');
  const { closed } = await dial(here, greeting(1, 1));
  expect(await closed).toMatchObject({ kind: 'remote', text: 'the mesh was given up' });
  const giveUpToo = new AbortController();
  const late = Mesh.form({
    ...common,
    listener: there,
    membership: { ...membership, rank: 1 },
    signal: giveUpToo.signal,
  });
  // By the time the second is answered the first was.
  await (await dial(here, greeting(1, 1))).closed;
  giveUpToo.abort();
  await expect(late).rejects.toThrow('given up');
  expect(lost).toEqual([]);
});

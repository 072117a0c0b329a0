// Bulk data to many links at once: everyone gets all of it in order, a state is loaded once for all, nobody waits for a slow one.

import { expect, it } from 'vitest';
import { BulkSender } from '../../../coordinator/bulk-sender.ts';
import { limits } from '../../../proto/limits.ts';
import type { MessageFrom } from '../../../proto/messages.ts';
import type { Link } from '../../../proto/transport/link.ts';
import { type Deferred, deferred } from '../../../src/platform/deferred.ts';

type Sent = MessageFrom<'coordinator'>;

/** A link whose queue is emptied by hand. */
class HeldLink implements Link<'coordinator'> {
  readonly remoteAddress = 'here';
  readonly sent: Sent[] = [];
  isOpen = true;
  #room: Deferred<void> | null = null;

  constructor(slow: boolean) {
    if (slow) this.#room = deferred<void>();
  }

  start(): void {}
  watch(): void {}
  close(): void {
    this.isOpen = false;
    this.empty();
  }
  send(message: Sent): boolean {
    if (this.isOpen) this.sent.push(message);
    return this.isOpen;
  }
  drained(): Promise<void> {
    return this.#room?.promise ?? Promise.resolve();
  }
  empty(): void {
    this.#room?.resolve();
    this.#room = null;
  }
}

const bytes = Uint8Array.from({ length: 2 * limits.pieceBytesMax + 5 }, (_, i) => i % 251);
const at = { generation: 3, step: 7 };

function gotAll(link: HeldLink): boolean {
  const pieces = link.sent.map((message) => {
    expect(message).toMatchObject({ type: 'statePiece', section: 'parameters', total: bytes.length, ...at });
    return (message as Sent & { type: 'statePiece' }).bytes;
  });
  return Buffer.concat(pieces).equals(bytes);
}

it('loads a state once for all who are sent it, and again for who comes later', async () => {
  const sender = new BulkSender();
  let loads = 0;
  const load = async (): Promise<{ name: string; bytes: Uint8Array }[]> => {
    loads += 1;
    return [{ name: 'parameters', bytes }];
  };
  const links = Array.from({ length: 20 }, () => new HeldLink(false));
  await Promise.all(links.map((link) => sender.sendState(link, at, load)));
  for (const link of links) expect(gotAll(link)).toBe(true);
  expect(loads).toBe(1);
  await sender.sendState(new HeldLink(false), at, load);
  expect(loads).toBe(2);
});

it('lets nobody wait for a slow one, of whom one piece waits', async () => {
  const sender = new BulkSender();
  const load = async (): Promise<{ name: string; bytes: Uint8Array }[]> => [{ name: 'parameters', bytes }];
  const [slow, quick] = [new HeldLink(true), new HeldLink(false)];
  const slowly = sender.sendState(slow, at, load);
  await sender.sendState(quick, at, load);
  expect(gotAll(quick)).toBe(true);
  expect(slow.sent).toHaveLength(1);
  slow.empty();
  await slowly;
  expect(gotAll(slow)).toBe(true);
});

it('ends with a link that ended, and with a state that cannot be loaded', async () => {
  const sender = new BulkSender();
  const link = new HeldLink(true);
  const sending = sender.sendState(link, at, async () => [{ name: 'parameters', bytes }]);
  await expect.poll(() => link.sent.length).toBe(1);
  link.close();
  await sending;
  expect(link.sent).toHaveLength(1);
  const broken = sender.sendState(new HeldLink(false), at, () => Promise.reject(new Error('no such file')));
  await expect(broken).rejects.toThrow('no such file');
});

it('takes a turn of the event loop for a piece, whoever it is for', async () => {
  const sender = new BulkSender();
  const links = Array.from({ length: 8 }, () => new HeldLink(false));
  const sentInAll = (): number => links.reduce((sum, { sent }) => sum + sent.length, 0);
  const work = Promise.all(
    links.map((link) => sender.sendState(link, at, async () => [{ name: 'parameters', bytes }])),
  );
  let over = false;
  void work.then(() => {
    over = true;
  });
  let most = 0;
  for (let before = 0; !over; before = sentInAll()) {
    await new Promise((resolve) => setImmediate(resolve));
    most = Math.max(most, sentInAll() - before);
  }
  await work;
  expect(sentInAll()).toBe(8 * 3);
  expect(most).toBe(1);
});

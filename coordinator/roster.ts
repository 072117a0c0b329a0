// Who is connected, and what each of them may be in the next membership. It remembers; the machine decides. Pure.

import type { ConnectionId } from './effects.ts';
import { type Hello, newWorker, type Worker } from './worker-record.ts';

export class Roster {
  readonly #workers = new Map<ConnectionId, Worker>();

  connected(connection: ConnectionId, address: string): void {
    this.#workers.set(connection, newWorker(connection, address));
  }

  at(connection: ConnectionId): Worker | undefined {
    return this.#workers.get(connection);
  }

  remove({ connection }: Worker): void {
    this.#workers.delete(connection);
  }

  /** Those that have said who they are. */
  named(): Worker[] {
    return [...this.#workers.values()].filter(({ hello }) => hello !== null);
  }

  called(workerId: string): Worker | undefined {
    return this.named().find(({ hello }) => hello!.workerId === workerId);
  }

  /** Of the worker that came first: what the others are held against. */
  firstHello(): Hello | null {
    return this.named()[0]?.hello ?? null;
  }

  /** Who can be a member: one that wants to leave is here until another has its state. */
  present(): Worker[] {
    return [...this.#workers.values()].filter(({ hasData, failed }) => hasData && !failed);
  }

  /** One for each shard at most; who was in the newest generation comes first, for it may hold the newest state. */
  members(shards: number): Worker[] {
    return this.present()
      .sort((a, b) => b.memberOf - a.memberOf)
      .slice(0, shards);
  }

  nobodyStays(): boolean {
    return [...this.#workers.values()].every(({ hasData, leaving, failed }) => !hasData || leaving || failed);
  }
}

// For tests of the coordinator's machine: a run, workers that greet it, and what they are sent, in short.

import type { CoordinatorEffect } from '../../../coordinator/effects.ts';
import { CoordinatorMachine } from '../../../coordinator/machine.ts';
import type { RunFacts } from '../../../coordinator/worker-record.ts';
import type { MessageFrom, MessageOf } from '../../../proto/messages.ts';

export const facts: RunFacts = {
  runId: 'run',
  workersWanted: 2,
  workersMin: 1,
  generation: 0,
  membersBefore: [],
  replayTo: null,
  shards: 8,
  reports: 2,
  evaluationBatches: 3,
  packageVersion: '1.0.0',
  protocolVersion: 1,
  checkpointStep: null,
  endStep: 10,
  steps: 10,
  fingerprint: null,
  numerics: null,
  evaluateAfter: (step) => step === 5 || step === 10,
  checkpointAfter: (step) => step === 10,
};
export const sha = 'a'.repeat(64);

export function hello(workerId: string, changes: Partial<MessageOf<'hello'>> = {}): MessageOf<'hello'> {
  return {
    type: 'hello',
    protocolVersion: 1,
    packageVersion: '1.0.0',
    fingerprint: sha,
    kernelHashes: { adam: sha, add: sha },
    backend: 'native',
    variant: 'avx2',
    threads: 2,
    workerId,
    nameSecret: '',
    peerHost: '',
    peerPort: 7000,
    runId: '',
    generation: 0,
    ...changes,
  };
}

export function report(generation: number, step: number): MessageOf<'report'> {
  const sums = new Uint8Array(facts.shards * facts.reports * 4);
  return { type: 'report', generation, step, sums, gradientNorm: 0, seconds: 0.1 };
}

export function digest(generation: number, step: number, digest = 0): MessageOf<'digest'> {
  return { type: 'digest', generation, step, digest };
}

/** A machine whose connections are told by number, worker wN at connection N. */
export class Story {
  readonly machine: CoordinatorMachine;

  constructor(changes: Partial<RunFacts> = {}) {
    this.machine = new CoordinatorMachine({ ...facts, ...changes });
  }

  say(connection: number, message: MessageFrom<'worker'>): CoordinatorEffect[] {
    if (message.type === 'finished') this.say(connection, digest(message.generation, message.step));
    return this.machine.handle({ is: 'message', connection, message });
  }

  /** Up to where a membership may be formed with it. */
  join(connection: number, greeting = hello(`w${connection}`)): CoordinatorEffect[] {
    this.machine.handle({ is: 'connected', connection, address: '10.0.0.1' });
    this.say(connection, greeting);
    return this.say(connection, { type: 'ready', generation: 0, digest: 0 });
  }

  /** Joins while `generation` runs, whose rank 0 is connection 1, up to the membership it is taken into. */
  takeIn(connection: number, generation: number, step: number): CoordinatorEffect[] {
    this.join(connection);
    this.machine.handle({ is: 'timer', timer: { kind: 'joining', generation } });
    return this.say(1, report(generation, step));
  }

  /** The members tell their standing and become ready; gives what the last of them led to. */
  align(generation: number, step: number, connections: readonly number[]): CoordinatorEffect[] {
    const aligned = connections.map((connection) =>
      this.say(connection, { type: 'standing', generation, hasState: step > 0, step }),
    );
    for (const connection of connections) this.say(connection, { type: 'ready', generation, digest: 0 });
    return aligned.at(-1)!;
  }
}

/** Effects in short: 'membership to 1', 'journal'. */
export function inShort(effects: readonly CoordinatorEffect[]): string[] {
  return effects.map((effect) =>
    effect.do === 'send' ? `${effect.message.type} to ${effect.connection}` : effect.do,
  );
}

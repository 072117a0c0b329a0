// A worker process of the simulator: the real WorkerMachine and, through member.ts, the real step machine and collectives. It
// does what worker/session.ts, run.ts and peer-listener.ts do, with virtual time and the simulator's network.

import { limits } from '../../proto/limits.ts';
import { checkMessage, type MessageFrom, type MessageOf } from '../../proto/messages.ts';
import type { ErrorCode } from '../../src/errors.ts';
import { ShardLease } from '../../worker/step/lease.ts';
import { type WorkerEffect, type WorkerEvent, WorkerMachine } from '../../worker/worker-machine.ts';
import { hashOf } from './arithmetic.ts';
import { Host } from './clock.ts';
import type { Liar } from './lies.ts';
import { SimMember } from './member.ts';
import type { End } from './network.ts';
import { pieces, Serial } from './serial.ts';
import type { Simulation } from './simulation.ts';

export interface HeldState {
  readonly step: number;
  readonly state: Float32Array;
}

interface Arrival {
  readonly end: End;
  readonly generation: number;
  readonly rank: number;
  attach(
    onMessage: (message: MessageFrom<'peer'>) => void,
    onClose: (kind: string, why: string) => void,
  ): void;
}

/** As in worker/session.ts, in milliseconds. */
const leaveAwayMs = 10_000;

/** How a process may end without anything being wrong. */
const harmless: readonly ErrorCode[] = [
  'LOCKSTEP_PEER_LOST',
  'LOCKSTEP_STOPPED',
  'LOCKSTEP_USAGE',
  'LOCKSTEP_GENERATION_OVER',
];

/** It is told which kernel differs, whoever is connected. */
const isRefusalOfForeigner = ({ code, message }: { readonly code: ErrorCode; readonly message: string }) =>
  code === 'LOCKSTEP_FINGERPRINT_MISMATCH' &&
  message.includes("reference float32 differs from the run's native avx2 in add;");

export class WorkerProcess {
  readonly simulation: Simulation;
  readonly host: Host;
  readonly hasCopy: boolean;
  /** It has other kernels than the run. */
  readonly isForeign: boolean;
  /** Asked to leave at this time. */
  leavingSinceMs: number | null = null;
  /** For the life of the worker. */
  readonly lease = new ShardLease();
  /** It sends what no honest worker does. */
  liar: Liar | null = null;
  /** A bit of the next numbers that it reads is another. */
  flipsNext = false;
  readonly #machine = new WorkerMachine();
  #link: End | null = null;
  #hasData = false;
  #member: SimMember | null = null;
  readonly #forming = new Serial();
  readonly #snapshots = new Serial();
  #snapshotInFlight = false;
  #held: HeldState | null = null;
  readonly #arrivals = new Set<Arrival>();
  #taking = { generation: 0, take: null as ((arrival: Arrival) => void) | null };

  constructor(simulation: Simulation, name: string, isForeign: boolean) {
    this.simulation = simulation;
    this.isForeign = isForeign;
    this.host = new Host(name, simulation.clock);
    this.hasCopy = simulation.random.chance(0.3);
    simulation.network.listen(this.host, (end) => this.#arrived(end));
    this.#dial(50);
  }

  get describe(): string {
    return `${this.host.name} ${this.#machine.phase} in generation ${this.#machine.generation}${this.host.isStopped ? ' (stopped)' : ''}`;
  }

  /** SIGTERM. */
  leave(): void {
    this.leavingSinceMs ??= this.host.clock.nowMs;
    this.host.run(() => this.#handle({ is: 'stop' }));
    if (!this.#machine.isLinked) this.#waitWhileAway();
  }

  /** A coordinator that is away is not waited for without end. */
  #waitWhileAway(): void {
    const link = this.#link;
    this.host.timer(leaveAwayMs, () => {
      if (link === this.#link)
        this.#handle({ is: 'gaveUp', message: 'left without handing over: the coordinator is away' });
    });
  }

  #dial(waitMs: number): void {
    this.simulation.network.dial(
      this.host,
      'coordinator',
      (end) => this.#open(end),
      () => this.host.timer(waitMs, () => this.#dial(Math.min(1_000, waitMs * 2))),
    );
  }

  #open(link: End): void {
    if (this.#machine.phase === 'over') return;
    this.#link = link;
    link.watch(() => limits.silenceWhileFormingMs);
    this.#handle({ is: 'opened', hello: this.simulation.helloOf(this) });
    link.start({
      onMessage: (message) => {
        if (link === this.#link)
          this.#handle({ is: 'message', message: checkMessage(message, 'coordinator') });
      },
      onClose: (kind, why) => {
        if (link !== this.#link) return;
        this.#handle({ is: 'closed', why, broken: kind === 'lost' });
        if (this.leavingSinceMs !== null) this.#waitWhileAway();
      },
    });
  }

  #handle(event: WorkerEvent): void {
    this.simulation.trace(this.host.name, 'hears', event);
    for (const effect of this.#machine.handle(event)) {
      if (this.simulation.crashesHere(this.host)) return;
      this.simulation.trace(this.host.name, 'does', effect);
      this.#carryOut(effect);
      if (!this.host.isAlive) return;
    }
  }

  #carryOut(effect: WorkerEffect): void {
    switch (effect.do) {
      case 'send':
        this.#send(effect.message);
        return;
      case 'prepare':
        this.simulation.observers.welcomed(this.host.name, this.isForeign);
        this.#hasData ||= this.hasCopy;
        this.#handle({ is: 'prepared', hasData: this.#hasData });
        return;
      case 'reconfigure':
        return;
      case 'takeData':
        this.#hasData = true;
        this.#handle({ is: 'dataComplete' });
        return;
      case 'form':
        this.#forming.add((done) => this.#form(effect.membership, done));
        return;
      case 'align':
        this.#whenFormed(effect.align.generation, (member) => member.align(effect.align));
        return;
      case 'takeState':
        this.#whenFormed(effect.piece.generation, (member) => member.takeState(effect.piece));
        return;
      case 'begin':
        this.#member!.begin();
        return;
      case 'stopSteps':
        this.#member!.stop();
        return;
      case 'redial':
        this.host.timer(effect.afterMs * this.simulation.random.between(0.5, 1.5), () => this.#dial(50));
        return;
      case 'end':
        if (this.simulation.broken !== 'ignoresRelease') this.#exit();
        return;
      case 'fail':
        this.simulation.observers.expect(
          harmless.includes(effect.code) ||
            this.simulation.mayFailWith(effect.code) ||
            (this.isForeign && isRefusalOfForeigner(effect)) ||
            (effect.code === 'LOCKSTEP_PROTOCOL' && this.liar?.hasLied === true),
          `${this.host.name} failed: ${effect.code} ${effect.message}`,
        );
        this.#exit();
        return;
      default:
        effect satisfies never;
    }
  }

  /** In order: connections are closed, not broken. */
  #exit(): void {
    this.#link?.close('process ends');
    const ending = this.#member;
    if (ending === null) this.host.kill();
    else ending.end(() => this.host.kill());
  }

  #send(message: MessageFrom<'worker'>): void {
    const said = this.liar?.tells(message) ?? message;
    this.#link?.send(checkMessage(said, 'worker'));
  }

  #whenFormed(generation: number, act: (member: SimMember) => void): void {
    this.#forming.add((done) => {
      if (this.#machine.generation === generation && this.#member !== null) act(this.#member);
      done();
    });
  }

  #form(membership: MessageOf<'membership'>, done: () => void): void {
    const before = this.#member;
    const build = (): void => {
      this.#member = null;
      if (this.#machine.phase !== 'over' && this.#machine.generation === membership.generation)
        this.#build(membership);
      done();
    };
    if (before === null) build();
    else
      before.end((held) => {
        this.#held = held;
        build();
      });
  }

  #build(membership: MessageOf<'membership'>): void {
    const { generation } = membership;
    const isCurrent = (): boolean => this.#member === member && this.#machine.generation === generation;
    const member = new SimMember({
      worker: this,
      membership,
      held: this.#held,
      send: (message) => this.#send(message),
      snapshot: (step, state, last) => this.#snapshot(generation, step, state, last),
      onPeerLost: (rank, why, broken) => this.#handle({ is: 'peerLost', generation, rank, why, broken }),
      onAccused: (step, { ranks, what }) => this.#handle({ is: 'accused', generation, step, ranks, what }),
      onLanesStuck: (step) => this.#lanesStuck(step),
      onFormed: (state) =>
        this.#handle({ is: 'aligned', generation, digest: this.simulation.digestOf(state) }),
      onMeshFailed: (ranks, why) => {
        if (!isCurrent()) return;
        for (const rank of ranks) this.#handle({ is: 'peerLost', generation, rank, why, broken: false });
      },
      onFinished: (step, state) => this.#finished(generation, step, state),
    });
    this.#member = member;
    const step = this.#held?.step ?? null;
    const understates = this.simulation.broken === 'understatesItsStep' && step !== null && step > 0;
    this.#handle({ is: 'quiet', generation, step: understates ? step - 1 : step });
    if (this.host.isAlive) member.form();
  }

  /** Told after the snapshots on their way have left. */
  #lanesStuck(step: number): void {
    const { observers } = this.simulation;
    observers.blamed(
      this.host.wasHurt,
      `the lanes of ${this.host.name} are said to be stuck in step ${step}`,
    );
    this.#snapshots.add((done) => {
      done();
      const message = 'the compute threads of this worker are stuck';
      this.#handle({ is: 'failed', code: 'LOCKSTEP_LANES_STUCK', message, phase: 'lanes', step });
    });
  }

  #snapshot(generation: number, step: number, state: Float32Array, isLast: boolean): void {
    if (this.#snapshotInFlight && !isLast) return;
    const copy = state.slice();
    this.#snapshotInFlight = true;
    this.#snapshots.add((done) => {
      pieces(this.#link, copy, generation, step, () => {
        this.#snapshotInFlight = false;
        done();
      });
    });
  }

  #finished(generation: number, step: number, state: Float32Array): void {
    this.#snapshots.add((done) => {
      done();
      this.#handle({ is: 'finished', generation, step, weightsSha256: hashOf(state) });
    });
  }

  // --- where other workers reach this one

  /** From now on `take` gets the connections of this generation, those that wait first. */
  takeArrivals(generation: number, take: (arrival: Arrival) => void): void {
    this.#taking = { generation, take };
    for (const arrival of [...this.#arrivals]) {
      if (arrival.generation > generation) continue;
      this.#arrivals.delete(arrival);
      this.#place(arrival);
    }
  }

  #arrived(end: End): void {
    let arrival: Arrival | null = null;
    let onMessage: ((message: MessageFrom<'peer'>) => void) | null = null;
    let onClose: ((kind: string, why: string) => void) | null = null;
    end.start({
      onMessage: (raw) => {
        const message = raw as MessageFrom<'peer'>;
        if (onMessage !== null) onMessage(message);
        else if (message.type !== 'peerHello' || arrival !== null) end.close('out of turn');
        else {
          const attach: Arrival['attach'] = (message, close) => {
            onMessage = message;
            onClose = close;
          };
          arrival = { end, generation: message.generation, rank: message.rank, attach };
          this.#place(arrival);
        }
      },
      onClose: (kind, why) => {
        if (arrival !== null) this.#arrivals.delete(arrival);
        onClose?.(kind, why);
      },
    });
  }

  #place(arrival: Arrival): void {
    const { generation, take } = this.#taking;
    if (arrival.generation === generation && take !== null) take(arrival);
    else if (arrival.generation < generation) arrival.end.close('that generation is over');
    else if (this.#arrivals.size >= limits.workersMax) arrival.end.terminate('too many wait');
    else this.#arrivals.add(arrival);
    const waiting = [...this.#arrivals].map(({ generation, rank }) => `${generation}.${rank}`);
    this.simulation.observers.arrivalsWait(this.host.name, waiting);
  }
}

// A worker's conversation with its coordinator as a pure machine: joining, aligning with each new membership, running,
// leaving, and being without a coordinator for a while. The steps themselves are step/step-machine.ts.

import type { MessageFrom, MessageOf } from '../proto/messages.ts';
import { changeOfFixed, changeText } from '../src/config/fixed-part.ts';
import { type ErrorCode, errorCodes } from '../src/errors.ts';

type FromCoordinator = MessageFrom<'coordinator'>;
type ToCoordinator = MessageFrom<'worker'>;

/** Another member, why it is lost, and whether that was a connection that stood and broke. */
interface LostPeer {
  readonly rank: number;
  readonly why: string;
  readonly broken: boolean;
}

export type WorkerEvent =
  /** The link stands, for the first time or again. */
  | { readonly is: 'opened'; readonly hello: Omit<MessageOf<'hello'>, 'runId' | 'generation' | 'nameSecret'> }
  | { readonly is: 'message'; readonly message: FromCoordinator }
  /** The config is understood; `hasData`: this worker has the data set already. */
  | { readonly is: 'prepared'; readonly hasData: boolean }
  | { readonly is: 'dataComplete' }
  /** The lanes are idle; `step`: of the state that is here, null where there is none. */
  | { readonly is: 'quiet'; readonly generation: number; readonly step: number | null }
  /** Engine, mesh and state of this generation stand. */
  | { readonly is: 'aligned'; readonly generation: number; readonly digest: number }
  /** Another member cannot be reached, or is gone. */
  | ({ readonly is: 'peerLost'; readonly generation: number } & LostPeer)
  /** What came from these ranks in this step cannot be right; no ranks: it is not known from whom it came. */
  | {
      readonly is: 'accused';
      readonly generation: number;
      readonly step: number;
      readonly ranks: readonly number[];
      readonly what: string;
    }
  /** The steps of this generation have come to their end. */
  | {
      readonly is: 'finished';
      readonly generation: number;
      readonly step: number;
      readonly weightsSha256: string;
    }
  | {
      readonly is: 'failed';
      readonly code: ErrorCode;
      readonly message: string;
      readonly phase: string;
      readonly step: number;
    }
  /** The link is gone; `broken`: nobody meant to end it. */
  | { readonly is: 'closed'; readonly why: string; readonly broken: boolean }
  /** The coordinator did not come back in time. */
  | { readonly is: 'gaveUp'; readonly message: string }
  /** This process was asked to end. */
  | { readonly is: 'stop' };

export type WorkerEffect =
  | { readonly do: 'send'; readonly message: ToCoordinator }
  | { readonly do: 'prepare'; readonly welcome: MessageOf<'welcome'> }
  /** The next memberships are computed under this config: what fixes the weights is as it was. */
  | { readonly do: 'reconfigure'; readonly welcome: MessageOf<'welcome'> }
  | { readonly do: 'takeData'; readonly piece: MessageOf<'dataPiece'> }
  /** Give up the step in flight, then build what this membership needs. */
  | { readonly do: 'form'; readonly membership: MessageOf<'membership'> }
  | { readonly do: 'align'; readonly align: MessageOf<'align'> }
  | { readonly do: 'takeState'; readonly piece: MessageOf<'statePiece'> }
  | { readonly do: 'begin' }
  | { readonly do: 'stopSteps' }
  /** Look for the coordinator again, after about so many milliseconds; `refusal`: why it did not want this worker now. */
  | { readonly do: 'redial'; readonly afterMs: number; readonly refusal?: string }
  /** `stoppedAt`: the step after which the coordinator stopped the run; null where it is finished, or this worker is released. */
  | { readonly do: 'end'; readonly stoppedAt: number | null }
  | { readonly do: 'fail'; readonly code: ErrorCode; readonly message: string };

/** A worker that was turned away for a while asks again after this long, in milliseconds. */
export const refusedMs = 1_000;

/** Before a lost coordinator is dialled again, in milliseconds: longer each time until a membership comes. */
export const redialMs = { first: 50, most: 1_000, growth: 2 } as const;

type Phase = 'opening' | 'loading' | 'waiting' | 'aligning' | 'running' | 'finished' | 'failing' | 'over';

/** The run may end, or this worker be turned away, whatever it is doing. */
const alwaysExpected: readonly FromCoordinator['type'][] = ['refused', 'failure', 'done'];

/** What else has a place in each phase; any other message is the coordinator's mistake. */
const expected: { readonly [P in Phase]: readonly FromCoordinator['type'][] } = {
  opening: ['welcome'],
  loading: ['dataPiece'],
  waiting: ['membership', 'released'],
  aligning: ['membership', 'align', 'statePiece', 'start', 'released'],
  running: ['membership', 'stop', 'released'],
  finished: ['membership', 'stop', 'released'],
  failing: [],
  over: [],
};

/** What another coordinator of the same run has otherwise, or null; `fixed`: what must not change while the run goes on, and did. */
function changeOf(
  before: MessageOf<'welcome'>,
  now: MessageOf<'welcome'>,
): { readonly fixed: string | null } | null {
  if (before.dataset.sha256 !== now.dataset.sha256) return { fixed: 'on another data set' };
  if (before.config === now.config) return null;
  const [then, is] = [before, now].map(({ config }) => parsed(config));
  const change = changeOfFixed(then, is);
  return { fixed: change === null ? null : changeText(change) };
}

/** What is no JSON has nothing in common with any config. */
function parsed(config: string): unknown {
  try {
    return JSON.parse(config);
  } catch {
    return config;
  }
}

export class WorkerMachine {
  #phase: Phase = 'opening';
  #runId = '';
  /** What was prepared for. */
  #welcome: MessageOf<'welcome'> | null = null;
  #generation = 0;
  #linked = false;
  /** The link is new, and the coordinator has not welcomed this worker on it. */
  #greeting = false;
  #leaving = false;
  /** Of a coordinator that wants this worker later. */
  #refusal: string | null = null;
  /** Longer with each connection that was lost since the newest membership came. */
  #nextRedialMs: number = redialMs.first;
  /** Members of this generation that are gone or cannot be reached, by rank: a coordinator that comes back is told. */
  readonly #lostPeers = new Map<number, LostPeer>();
  /** While failing: what the coordinator was told. */
  #failure: { readonly code: ErrorCode; readonly message: string } | null = null;

  get phase(): Phase {
    return this.#phase;
  }

  get isLinked(): boolean {
    return this.#linked;
  }

  get generation(): number {
    return this.#generation;
  }

  handle(event: WorkerEvent): WorkerEffect[] {
    if (this.#phase === 'over') return [];
    if (this.#phase === 'failing') return this.#whileFailing(event);
    switch (event.is) {
      case 'opened':
        this.#linked = true;
        this.#greeting = true;
        return this.#send({
          ...event.hello,
          nameSecret: this.#welcome?.nameSecret ?? '',
          runId: this.#runId,
          generation: this.#generation,
        });
      case 'message':
        return this.#message(event.message);
      case 'prepared':
        if (this.#phase !== 'loading') return [];
        return event.hasData ? this.#becomeWaiting() : this.#send({ type: 'dataRequest' });
      case 'dataComplete':
        if (this.#phase !== 'loading') return [];
        return this.#becomeWaiting();
      case 'quiet':
        if (event.generation !== this.#generation || this.#phase !== 'aligning') return [];
        return this.#send({
          type: 'standing',
          generation: this.#generation,
          hasState: event.step !== null,
          step: event.step ?? 0,
        });
      case 'aligned':
        if (event.generation !== this.#generation || this.#phase !== 'aligning') return [];
        return this.#send({ type: 'ready', generation: this.#generation, digest: event.digest });
      case 'peerLost':
        if (event.generation !== this.#generation || this.#phase === 'finished') return [];
        this.#lostPeers.set(event.rank, event);
        return this.#suspect(event);
      case 'accused':
        if (event.generation !== this.#generation || this.#phase === 'finished') return [];
        return this.#send({
          type: 'accuse',
          generation: this.#generation,
          step: event.step,
          ranks: [...event.ranks],
          what: event.what.slice(0, 1_000),
        });
      case 'finished':
        // A membership that came meanwhile goes on from this state, and finishes anew.
        if (event.generation !== this.#generation || this.#phase !== 'running') return [];
        this.#phase = 'finished';
        return this.#send({
          type: 'finished',
          generation: this.#generation,
          step: event.step,
          weightsSha256: event.weightsSha256,
        });
      case 'failed':
        return this.#failed(event);
      case 'closed':
        return this.#closed(event);
      case 'gaveUp':
        return this.#becomeFailed(this.#leaving ? 'LOCKSTEP_STOPPED' : 'LOCKSTEP_PEER_LOST', event.message);
      case 'stop':
        return this.#stop();
      default:
        return event satisfies never;
    }
  }

  /** Nothing is said to a coordinator that is not there: it asks anew when it is back. */
  #send(message: ToCoordinator): WorkerEffect[] {
    return this.#linked ? [{ do: 'send', message }] : [];
  }

  #message(message: FromCoordinator): WorkerEffect[] {
    if (this.#greeting && this.#phase !== 'opening') return this.#welcomedBack(message);
    if (this.#isOfOlderGeneration(message)) return [];
    if (!alwaysExpected.includes(message.type) && !expected[this.#phase].includes(message.type)) {
      return this.#becomeFailed(
        'LOCKSTEP_PROTOCOL',
        `the coordinator sent ${message.type} while this worker was ${this.#phase}`,
      );
    }
    switch (message.type) {
      case 'membership':
        if (message.generation <= this.#generation) return [];
        this.#phase = 'aligning';
        this.#generation = message.generation;
        this.#nextRedialMs = redialMs.first;
        this.#lostPeers.clear();
        return [{ do: 'form', membership: message }];
      case 'align':
      case 'statePiece':
      case 'start':
      case 'stop':
        return message.generation === this.#generation ? this.#ofGeneration(message) : [];
      case 'welcome':
        this.#greeting = false;
        this.#phase = 'loading';
        this.#runId = message.runId;
        this.#welcome = message;
        return [{ do: 'prepare', welcome: message }];
      case 'dataPiece':
        return [{ do: 'takeData', piece: message }];
      case 'released':
        return this.#becomeOver(null);
      case 'done':
        return this.#done(message);
      case 'refused':
      case 'failure':
        return this.#told(message);
      default:
        return message satisfies never;
    }
  }

  /** Bulk data and stops may still be on their way when the next membership is formed. */
  #isOfOlderGeneration(message: FromCoordinator): boolean {
    switch (message.type) {
      case 'align':
      case 'statePiece':
      case 'start':
      case 'stop':
        return message.generation < this.#generation;
      default:
        return false;
    }
  }

  #ofGeneration(
    message: Extract<FromCoordinator, { type: 'align' | 'statePiece' | 'start' | 'stop' }>,
  ): WorkerEffect[] {
    switch (message.type) {
      case 'align':
        return [{ do: 'align', align: message }];
      case 'statePiece':
        return [{ do: 'takeState', piece: message }];
      case 'start':
        this.#phase = 'running';
        return [{ do: 'begin' }];
      case 'stop':
        return this.#phase === 'running' ? [{ do: 'stopSteps' }] : [];
      default:
        return message satisfies never;
    }
  }

  /** A coordinator after a pause: the steps went on meanwhile. The data set is here, unless that is another now. */
  #welcomedBack(message: FromCoordinator): WorkerEffect[] {
    if (message.type === 'refused' || message.type === 'failure') return this.#told(message);
    if (message.type === 'done') return this.#done(message);
    if (message.type !== 'welcome') return [];
    this.#greeting = false;
    if (message.runId !== this.#runId) {
      return this.#becomeFailed(
        'LOCKSTEP_USAGE',
        'at the address of the coordinator there is another run now',
      );
    }
    const change = changeOf(this.#welcome!, message);
    this.#welcome = message;
    // One that was no member loses nothing but what it prepared.
    if (this.#phase === 'loading' || (change !== null && this.#generation === 0)) {
      if (this.#leaving) return this.#send({ type: 'leave' });
      this.#phase = 'loading';
      return [{ do: 'prepare', welcome: message }];
    }
    if (change !== null && change.fixed !== null) {
      return this.#becomeFailed(
        'LOCKSTEP_USAGE',
        `the coordinator came back changed: this run was begun ${change.fixed}; end it, and resume with the same`,
      );
    }
    return [
      ...this.#send({ type: 'ready', generation: 0, digest: 0 }),
      ...[...this.#lostPeers.values()].flatMap((lost) => this.#suspect(lost)),
      ...(this.#leaving ? this.#send({ type: 'leave' }) : []),
      ...(change === null ? [] : [{ do: 'reconfigure', welcome: message } as const]),
    ];
  }

  #suspect({ rank, why, broken }: LostPeer): WorkerEffect[] {
    return this.#send({ type: 'suspect', generation: this.#generation, rank, why, broken });
  }

  /** That the others could not reach this worker passes; anything else is final. */
  #told({ code, message }: { readonly code: string; readonly message: string }): WorkerEffect[] {
    if (code === 'LOCKSTEP_CONNECT_FAILED') {
      this.#refusal = message;
      return [];
    }
    const known = Object.hasOwn(errorCodes, code) ? (code as ErrorCode) : 'LOCKSTEP_WORKER_FAILED';
    return this.#becomeFailed(known, message);
  }

  /** Ready in generation 0: the data set is here, a membership may be formed. */
  #becomeWaiting(): WorkerEffect[] {
    this.#phase = 'waiting';
    // On a link that came anew meanwhile it is said after the welcome.
    return this.#greeting ? [] : this.#send({ type: 'ready', generation: 0, digest: 0 });
  }

  /** Before the welcome, a coordinator that ends the link does not want this worker, unless it said for now; one that breaks may
      stand the next time. */
  #closed({ why, broken }: Extract<WorkerEvent, { is: 'closed' }>): WorkerEffect[] {
    this.#linked = false;
    this.#greeting = false;
    if (this.#phase === 'opening' && !broken && this.#refusal === null)
      return this.#becomeFailed('LOCKSTEP_PEER_LOST', `the coordinator is gone: ${why}`);
    const { most, growth } = redialMs;
    const waitMs = this.#nextRedialMs;
    const refusal = this.#refusal;
    this.#nextRedialMs = Math.min(most, growth * waitMs);
    this.#refusal = null;
    return [
      refusal === null
        ? { do: 'redial', afterMs: waitMs }
        : { do: 'redial', afterMs: Math.max(refusedMs, waitMs), refusal },
    ];
  }

  #failed(event: Extract<WorkerEvent, { is: 'failed' }>): WorkerEffect[] {
    const { code, message, phase, step } = event;
    const failure = {
      type: 'failure',
      code,
      message: message.slice(0, 2000),
      generation: this.#generation,
      step,
      phase,
    } as const;
    if (!this.#linked) return this.#becomeFailed(code, message);
    this.#phase = 'failing';
    this.#failure = { code, message };
    return this.#send(failure);
  }

  /**
   * The coordinator decides what the failure means: for this worker alone, or for the run. A process that ended before would be
   * taken for one that crashed, and a peer whose connections break for one that is lost.
   */
  #whileFailing(event: WorkerEvent): WorkerEffect[] {
    const { code, message } = this.#failure!;
    switch (event.is) {
      case 'message':
        if (event.message.type === 'failure') return this.#told(event.message);
        // The others computed the step, and it is finite.
        if (event.message.type === 'released') return this.#becomeOver(null);
        return event.message.type === 'done' ? this.#becomeFailed(code, message) : [];
      case 'closed':
      case 'stop':
        return this.#becomeFailed(code, message);
      default:
        return [];
    }
  }

  /** Members stay until they are released: the others may have to heal from this one, now or when the coordinator is back. */
  #stop(): WorkerEffect[] {
    if (this.#phase === 'opening' || this.#phase === 'loading') {
      return this.#becomeFailed('LOCKSTEP_STOPPED', 'stopped before the run began');
    }
    if (this.#leaving) return [];
    this.#leaving = true;
    return this.#greeting ? [] : this.#send({ type: 'leave' });
  }

  #done({ step, stopped }: MessageOf<'done'>): WorkerEffect[] {
    return this.#becomeOver(stopped ? step : null);
  }

  #becomeOver(stoppedAt: number | null): WorkerEffect[] {
    this.#phase = 'over';
    return [{ do: 'end', stoppedAt }];
  }

  #becomeFailed(code: ErrorCode, message: string): WorkerEffect[] {
    this.#phase = 'over';
    return [{ do: 'fail', code, message }];
  }
}

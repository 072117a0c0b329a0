// A worker's conversation with its coordinator as a pure machine: joining, loading, forming, running, ending.
// The steps themselves are step/step-machine.ts; this one says when they begin and hears when they end.

import type { MessageFrom, MessageOf } from '../proto/messages.ts';
import { type ErrorCode, errorCodes } from '../src/errors.ts';

type FromCoordinator = MessageFrom<'coordinator'>;
type ToCoordinator = MessageFrom<'worker'>;

export type WorkerEvent =
  | { readonly is: 'opened'; readonly hello: MessageOf<'hello'> }
  | { readonly is: 'message'; readonly message: FromCoordinator }
  /** The config is understood; `hasData`: this worker has the data set already. */
  | { readonly is: 'prepared'; readonly hasData: boolean }
  | { readonly is: 'dataComplete' }
  /** Arena, lanes and the connections to all peers stand; `hasState`: the state of the start is there. */
  | { readonly is: 'formed'; readonly hasState: boolean }
  | { readonly is: 'stateComplete' }
  | { readonly is: 'finished'; readonly step: number; readonly weightsSha256: string }
  | {
      readonly is: 'failed';
      readonly code: ErrorCode;
      readonly message: string;
      readonly phase: string;
      readonly step: number;
    }
  | { readonly is: 'closed'; readonly why: string }
  /** This process was asked to end. */
  | { readonly is: 'stop' };

export type WorkerEffect =
  | { readonly do: 'send'; readonly message: ToCoordinator }
  | { readonly do: 'prepare'; readonly welcome: MessageOf<'welcome'> }
  | { readonly do: 'takeData'; readonly piece: MessageOf<'dataPiece'> }
  | { readonly do: 'form'; readonly membership: MessageOf<'membership'> }
  | { readonly do: 'takeState'; readonly piece: MessageOf<'statePiece'> }
  | { readonly do: 'begin' }
  | { readonly do: 'stopSteps' }
  | { readonly do: 'end' }
  | { readonly do: 'fail'; readonly code: ErrorCode; readonly message: string };

type Phase = 'opening' | 'greeting' | 'loading' | 'waiting' | 'forming' | 'running' | 'finished' | 'over';

/** Messages that have a place in each phase; any other is the coordinator's mistake. */
const expected: { readonly [P in Phase]: readonly FromCoordinator['type'][] } = {
  opening: [],
  greeting: ['welcome', 'refused', 'failure'],
  loading: ['dataPiece', 'failure'],
  waiting: ['membership', 'failure'],
  forming: ['statePiece', 'start', 'failure'],
  running: ['stop', 'failure'],
  finished: ['done', 'stop', 'failure'],
  over: [],
};

export class WorkerMachine {
  #phase: Phase = 'opening';
  #generation = 0;
  /** While forming: what is still missing before the worker is ready. */
  #missing = { formed: true, state: true };

  get phase(): Phase {
    return this.#phase;
  }

  get generation(): number {
    return this.#generation;
  }

  handle(event: WorkerEvent): WorkerEffect[] {
    if (this.#phase === 'over') return [];
    switch (event.is) {
      case 'opened':
        this.#phase = 'greeting';
        return [{ do: 'send', message: event.hello }];
      case 'message':
        return this.#message(event.message);
      case 'prepared':
        if (event.hasData) return this.#becomeWaiting();
        return [{ do: 'send', message: { type: 'dataRequest' } }];
      case 'dataComplete':
        return this.#becomeWaiting();
      case 'formed':
        this.#missing.formed = false;
        if (event.hasState) this.#missing.state = false;
        return this.#readyIfComplete();
      case 'stateComplete':
        this.#missing.state = false;
        return this.#readyIfComplete();
      case 'finished':
        this.#phase = 'finished';
        return [
          {
            do: 'send',
            message: {
              type: 'finished',
              generation: this.#generation,
              step: event.step,
              weightsSha256: event.weightsSha256,
            },
          },
        ];
      case 'failed':
        return this.#failed(event);
      case 'closed':
        return this.#becomeFailed('LOCKSTEP_PEER_LOST', `the coordinator is gone: ${event.why}`);
      case 'stop':
        return this.#stop();
      default:
        return event satisfies never;
    }
  }

  #message(message: FromCoordinator): WorkerEffect[] {
    if (!expected[this.#phase].includes(message.type)) {
      return this.#becomeFailed(
        'LOCKSTEP_PROTOCOL',
        `the coordinator sent ${message.type} while this worker was ${this.#phase}`,
      );
    }
    if ('generation' in message && message.type !== 'membership' && message.type !== 'failure') {
      if (message.generation !== this.#generation) return [];
    }
    switch (message.type) {
      case 'welcome':
        this.#phase = 'loading';
        return [{ do: 'prepare', welcome: message }];
      case 'dataPiece':
        return [{ do: 'takeData', piece: message }];
      case 'membership':
        this.#phase = 'forming';
        this.#generation = message.generation;
        this.#missing = { formed: true, state: true };
        return [{ do: 'form', membership: message }];
      case 'statePiece':
        return [{ do: 'takeState', piece: message }];
      case 'start':
        this.#phase = 'running';
        return [{ do: 'begin' }];
      case 'stop':
        return this.#phase === 'running' ? [{ do: 'stopSteps' }] : [];
      case 'done':
        this.#phase = 'over';
        return [{ do: 'end' }];
      case 'refused':
      case 'failure': {
        const code = Object.hasOwn(errorCodes, message.code)
          ? (message.code as ErrorCode)
          : 'LOCKSTEP_WORKER_FAILED';
        return this.#becomeFailed(code, message.message);
      }
      case 'snapshotRequest':
        return [];
      default:
        return message satisfies never;
    }
  }

  /** Ready in generation 0: the data set is here, a membership may be formed. */
  #becomeWaiting(): WorkerEffect[] {
    this.#phase = 'waiting';
    return [{ do: 'send', message: { type: 'ready', generation: 0 } }];
  }

  #readyIfComplete(): WorkerEffect[] {
    if (this.#phase !== 'forming' || this.#missing.formed || this.#missing.state) return [];
    return [{ do: 'send', message: { type: 'ready', generation: this.#generation } }];
  }

  #failed(event: Extract<WorkerEvent, { is: 'failed' }>): WorkerEffect[] {
    const { code, message, phase, step } = event;
    return [
      {
        do: 'send',
        message: {
          type: 'failure',
          code,
          message: message.slice(0, 2000),
          generation: this.#generation,
          step,
          phase,
        },
      },
      ...this.#becomeFailed(code, message),
    ];
  }

  #stop(): WorkerEffect[] {
    if (this.#phase === 'running') return [{ do: 'stopSteps' }];
    if (this.#phase === 'finished') return [];
    const reason = 'it was asked to end';
    return [
      { do: 'send', message: { type: 'goodbye', reason } },
      ...this.#becomeFailed('LOCKSTEP_STOPPED', 'stopped before the run began'),
    ];
  }

  #becomeFailed(code: ErrorCode, message: string): WorkerEffect[] {
    this.#phase = 'over';
    return [{ do: 'fail', code, message }];
  }
}

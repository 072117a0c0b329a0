// One membership as a simulated worker lives it: mesh, healing, and the real step machine over the real AllReduce and Swap.
// It does what worker/member.ts, mesh.ts, step/step-shell.ts and collective/peers.ts do.

import { ProtocolError } from '../../proto/error.ts';
import { limits } from '../../proto/limits.ts';
import type { MessageFrom, MessageOf } from '../../proto/messages.ts';
import { Healing, type Sender } from '../../worker/healing.ts';
import type { Accusation } from '../../worker/step/accusation.ts';
import { hashOf, initialState, stateFloats } from './arithmetic.ts';
import { withFlip } from './lies.ts';
import type { End } from './network.ts';
import { pieces } from './serial.ts';
import { SimSteps } from './steps.ts';
import type { HeldState, WorkerProcess } from './worker-process.ts';

type PeerMessage = MessageFrom<'peer'>;

export interface MemberOptions {
  readonly worker: WorkerProcess;
  readonly membership: MessageOf<'membership'>;
  readonly held: HeldState | null;
  readonly send: (message: MessageFrom<'worker'>) => void;
  readonly snapshot: (step: number, state: Float32Array, last: boolean) => void;
  readonly onPeerLost: (rank: number, why: string, broken: boolean) => void;
  readonly onAccused: (step: number, accusation: Accusation) => void;
  readonly onLanesStuck: (step: number) => void;
  readonly onFormed: (state: Float32Array) => void;
  readonly onMeshFailed: (ranks: readonly number[], why: string) => void;
  readonly onFinished: (step: number, state: Float32Array) => void;
}

export class SimMember {
  readonly #options: MemberOptions;
  readonly #mesh = new Map<number, End>();
  readonly #open = new Set<End>();
  /** Mesh, engine and align are all awaited before the state. */
  #engineStands = false;
  #meshStands = false;
  #align: MessageOf<'align'> | null = null;
  #failed = false;
  #ended = false;
  #state: Float32Array | null = null;
  readonly #healing: Healing;
  #steps: SimSteps | null = null;

  constructor(options: MemberOptions) {
    this.#options = options;
    this.#healing = new Healing([{ size: stateFloats }], (sender, error) => this.#refuse(sender, error));
  }

  form(): void {
    const { worker, membership } = this.#options;
    // On the main thread: lanes that stick are met when they compute.
    worker.host.after(worker.simulation.random.between(2, 40) * worker.host.slowness, () => {
      this.#engineStands = true;
      this.#goOn();
    });
    if (membership.members.length > 1 && !membership.alone) this.#connect();
    else this.#meshFormed();
  }

  align(align: MessageOf<'align'>): void {
    this.#align = align;
    this.#goOn();
  }

  begin(): void {
    const { worker, membership } = this.#options;
    const { step } = this.#align!;
    worker.simulation.observers.began(worker.host.name, membership, step, hashOf(this.#state!));
    this.#steps!.begin();
  }

  stop(): void {
    this.#steps?.stop();
  }

  takeState(piece: MessageOf<'statePiece'>): void {
    this.#healing.take(null, piece);
  }

  /** Gives everything up; `done` gets the newest committed state. */
  end(done: (held: HeldState | null) => void): void {
    if (this.#options.worker.simulation.broken === 'goesOnInOldGeneration' && this.#steps !== null) {
      done({ step: this.#steps.committed, state: this.#state!.slice() });
      return;
    }
    this.#ended = true;
    const close = (held: HeldState | null): void => {
      for (const end of this.#open) end.close('membership over');
      done(held);
    };
    if (this.#steps === null) close(this.#options.held);
    else this.#steps.quiesce((step) => close({ step, state: this.#state!.slice() }));
  }

  #goOn(): void {
    const align = this.#align;
    if (this.#ended || this.#failed || !this.#engineStands || !this.#meshStands || align === null) return;
    const { membership, held, worker } = this.#options;
    const { observers, task } = worker.simulation;
    if (!align.behind.includes(membership.rank)) {
      observers.expect(held?.step === align.step, `${worker.host.name} is not behind, and has the state`);
      this.#healing.expectNothing();
      this.#standing(held!.state.slice());
    } else if (align.origin === 'seed') {
      this.#healing.expectNothing();
      this.#standing(initialState(task));
    } else {
      const sender = align.origin === 'member' ? align.source : null;
      const floats = new Float32Array(stateFloats);
      this.#healing.expect({ sender, step: align.step }, [{ name: 'state', floats }], () =>
        this.#standing(floats),
      );
    }
  }

  /** The state to go on from is here; heals others first where that is this worker's part. */
  #standing(state: Float32Array): void {
    const { membership, onFormed, worker } = this.#options;
    const align = this.#align!;
    this.#state = state;
    const isSource = align.origin === 'member' && align.source === membership.rank;
    let left = isSource ? align.behind.length : 0;
    const stand = (): void => {
      if (this.#ended || this.#failed) return;
      this.#steps = this.#makeSteps(align, state);
      onFormed(state);
    };
    if (left === 0) stand();
    if (!isSource) return;
    for (const rank of align.behind) {
      const { generation } = membership;
      const healed = (): void => {
        left -= 1;
        if (left === 0) stand();
      };
      const floods = worker.simulation.broken === 'floodsSockets';
      pieces(this.#mesh.get(rank)!, state, generation, align.step, healed, floods);
    }
  }

  #makeSteps(align: MessageOf<'align'>, state: Float32Array): SimSteps {
    const { worker, membership, send, snapshot, onFinished } = this.#options;
    return new SimSteps({
      worker,
      membership,
      startStep: align.step,
      owed: { evaluate: align.evaluate, snapshot: align.snapshot },
      state,
      sendToPeer: (rank, message) => {
        const isFirst = rank === (membership.rank === 0 ? 1 : 0);
        const isDirect = worker.simulation.directBytesMax > 0;
        for (const said of worker.liar?.says(message, isFirst, isDirect) ?? [message])
          this.#mesh.get(rank)!.send(said);
      },
      verifyStep: align.verify ? align.step + 1 : null,
      onAccused: this.#options.onAccused,
      onPeerOverdue: (late, why) => this.#options.onPeerLost(late, why, false),
      onLanesStuck: this.#options.onLanesStuck,
      send,
      snapshot: (step, last) => {
        if (membership.rank === 0) snapshot(step, state, last);
      },
      onFinished: (step) => onFinished(step, state),
    });
  }

  // --- the mesh

  #connect(): void {
    const { worker, membership } = this.#options;
    const { generation, rank: own, members } = membership;
    worker.host.timer(limits.meshTimeoutMs, () => {
      const missing = members.flatMap((_, rank) => (rank === own || this.#mesh.has(rank) ? [] : [rank]));
      if (missing.length > 0) this.#meshFails(missing, 'no connection in time');
    });
    worker.takeArrivals(generation, (arrival) => {
      const { rank, end } = arrival;
      if (this.#ended || this.#failed || rank <= own || this.#mesh.has(rank)) {
        end.close('not a member of this generation');
        return;
      }
      this.#open.add(end);
      arrival.attach(
        (message) => this.#peerSaid(rank, message),
        (kind, why) => this.#peerClosed(end, rank, kind, why),
      );
      end.send(this.#hello());
      this.#joined(end, rank);
    });
    const idle = worker.simulation.broken === 'dialsTooOften' ? 2 : 0;
    for (let rank = 0; rank < own; rank += 1) {
      for (let i = 0; i < idle; i += 1) this.#dialIdly(rank);
      this.#dial(rank);
    }
  }

  #hello(): MessageOf<'peerHello'> {
    const { generation, rank } = this.#options.membership;
    return { type: 'peerHello', runId: 'run', generation, rank };
  }

  /** The twin's: a connection of a generation that there is not. */
  #dialIdly(rank: number): void {
    const { worker, membership } = this.#options;
    const nothing = (): void => undefined;
    const opened = (end: End): void => {
      end.start({ onMessage: nothing, onClose: nothing });
      end.send({ ...this.#hello(), generation: membership.generation + 1 });
    };
    worker.simulation.network.dial(worker.host, membership.members[rank]!.host, opened, nothing);
  }

  #dial(rank: number): void {
    const { worker, membership } = this.#options;
    const opened = (end: End): void => {
      if (this.#ended || this.#failed) {
        end.close('given up');
        return;
      }
      this.#open.add(end);
      let isGreeted = false;
      end.start({
        onMessage: (raw) => {
          const message = raw as PeerMessage;
          if (isGreeted) this.#peerSaid(rank, message);
          else {
            isGreeted = true;
            this.#joined(end, rank);
          }
        },
        onClose: (kind, why) => this.#peerClosed(end, rank, kind, why),
      });
      end.send(this.#hello());
    };
    worker.simulation.network.dial(worker.host, membership.members[rank]!.host, opened, (why) =>
      this.#meshFails([rank], why),
    );
  }

  #joined(end: End, rank: number): void {
    this.#mesh.set(rank, end);
    if (this.#mesh.size === this.#options.membership.members.length - 1) this.#meshFormed();
  }

  #meshFormed(): void {
    this.#meshStands = true;
    this.#goOn();
  }

  #meshFails(ranks: readonly number[], why: string): void {
    if (this.#ended || this.#failed || this.#meshStands) return;
    this.#failed = true;
    for (const end of this.#open) end.close('mesh given up');
    this.#options.onMeshFailed(ranks, why);
  }

  #peerClosed(end: End, rank: number, kind: string, why: string): void {
    this.#open.delete(end);
    if (kind === 'local') return;
    this.#meshFails([rank], why);
    if (this.#ended) return;
    const { onAccused, onPeerLost } = this.#options;
    if (kind !== 'protocol') onPeerLost(rank, why, !why.startsWith('silent'));
    else {
      const { worker, membership } = this.#options;
      const blamesAnother = worker.simulation.broken === 'blamesAnother';
      const ranks = [blamesAnother ? (rank + 1) % membership.members.length : rank];
      onAccused(this.#steps?.step ?? 0, { ranks, what: `a wrong message: ${why}` });
    }
  }

  #peerSaid(from: number, message: PeerMessage): void {
    const { membership } = this.#options;
    if (message.type === 'peerHello' || message.generation !== membership.generation) return;
    try {
      const received = this.#asRead(message);
      if (received.type === 'statePiece') this.#healing.take(from, received);
      else this.#steps?.receive(from, received);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#refuse(from, error);
    }
  }

  /** A bit may flip in memory, after the message was found to be as it was sent. */
  #asRead<M extends Exclude<PeerMessage, { type: 'peerHello' }>>(message: M): M {
    const { worker } = this.#options;
    const isDirect = worker.simulation.directBytesMax > 0;
    const differs =
      message.type === 'sum' || message.type === 'statePiece' || (message.type === 'partial' && isDirect);
    const size = message.type === 'statePiece' ? message.bytes.length : message.data.length;
    if (!worker.flipsNext || !differs || size === 0) return message;
    worker.flipsNext = false;
    worker.simulation.dataIsWrong();
    return withFlip(message, worker.simulation.random);
  }

  #refuse(sender: Sender, error: ProtocolError): void {
    if (sender === null) throw error;
    const { worker, membership } = this.#options;
    const { simulation, host } = worker;
    const said = `${host.name} refuses what rank ${sender} says: ${error.message}`;
    simulation.observers.blamed(simulation.hasLied(membership.members[sender]!.workerId), said);
    this.#mesh.get(sender)!.refuse(error.message);
  }
}

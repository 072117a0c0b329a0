// Snapshots that arrive in pieces become checkpoints, one after another (I/O through src/checkpoint/store.ts).
// Training goes on meanwhile.

import type { MessageOf } from '../proto/messages.ts';
import { PieceAssembler } from '../proto/transport/bulk.ts';
import { stepsThatStay } from '../src/checkpoint/retention.ts';
import type { Checkpoint, NamedTensor } from '../src/checkpoint/state.ts';
import { moreOfDigest } from '../src/checkpoint/state-digest.ts';
import { readCheckpoint, writeCheckpoint } from '../src/checkpoint/store.ts';
import { noteDataDirectory } from '../src/data/data-directory.ts';
import type { Metrics } from '../src/engine/events.ts';
import { flatVector, namedTensors, type StateSection } from '../src/engine/state.ts';
import { assert } from '../src/errors.ts';
import type { RunPlan } from './run-plan.ts';

interface Snapshot {
  readonly step: number;
  readonly vectors: readonly Float32Array[];
  readonly assembler: PieceAssembler;
  /** Of what came so far. */
  digest: number;
}

export interface KeeperHandlers {
  /** A snapshot is complete; it is written when `keep` says so. */
  came(step: number, digest: number): void;
  /** It will be. */
  whole(step: number): void;
  written(path: string, step: number): void;
}

export class CheckpointKeeper {
  readonly #plan: RunPlan;
  readonly #from: Checkpoint | null;
  readonly #on: KeeperHandlers;
  /** By step: a step that is taken again is not evaluated again. */
  readonly #measured = new Map<number, Metrics>();
  /** The newest that came, of which it is not known yet whether all agree on it. */
  #arrived: Snapshot | null = null;
  /** To be kept, but the evaluation of its step is not whole. */
  #held: Snapshot | null = null;
  #fingerprint = '';
  #incoming: Snapshot | null = null;
  /** Memory of a snapshot that is written: that of a new one costs more than to fill it. */
  #spare: readonly Float32Array[] | null = null;
  /** Wait for the write in flight: the newest, and before it the best where that is to be kept. */
  #waiting: readonly Snapshot[] = [];
  #writing: Promise<void> = Promise.resolve();
  readonly #paths = new Map<number, string>();
  /** A step for each read in flight: a write that ends meanwhile must not clear it away. */
  readonly #inUse: number[] = [];
  #newestPath: string | null = null;

  constructor(plan: RunPlan, from: Checkpoint | null, on: KeeperHandlers) {
    this.#plan = plan;
    this.#from = from;
    this.#on = on;
  }

  set fingerprint(value: string) {
    this.#fingerprint = value;
  }

  get newestPath(): string | null {
    return this.#newestPath;
  }

  /** What an evaluation said: it goes with the checkpoint of the same step, which waits for it. */
  measured(step: number, metrics: Metrics): Promise<void> {
    this.#measured.set(step, metrics);
    const held = this.#held;
    if (held?.step !== step) return Promise.resolve();
    this.#held = null;
    return this.#enqueue(held);
  }

  /** Everything that arrived whole is on disk; rejects if it could not be written. */
  settled(): Promise<void> {
    return this.#writing;
  }

  /** Pieces of another generation will not come, nor what is missing of an evaluation; the promise is that of a write. */
  forget(): Promise<void> {
    const held = this.#held;
    this.#incoming = null;
    this.#arrived = null;
    this.#held = null;
    return held === null ? Promise.resolve() : this.#enqueue(held);
  }

  /** The state after `step`, which is on disk, as flat vectors. Throws LOCKSTEP_CHECKPOINT_MISMATCH. */
  async stateAt(step: number): Promise<{ name: string; bytes: Uint8Array }[]> {
    const newest = await this.#read(step);
    assert(newest?.step === step, `there is a checkpoint of step ${step}`);
    const slots = [...newest.slots];
    const tensorsOf = (section: StateSection): readonly NamedTensor[] => {
      if (section.kind === 'parameters') return newest.parameters;
      if (section.kind === 'statistics') return newest.statistics;
      return slots.shift() ?? [];
    };
    return this.#plan.layout.sections.map((section) => ({
      name: section.name,
      bytes: new Uint8Array(flatVector(tensorsOf(section), section).buffer),
    }));
  }

  async #read(step: number): Promise<Checkpoint | null> {
    const path = this.#paths.get(step);
    if (path === undefined) return this.#from;
    this.#inUse.push(step);
    try {
      return await readCheckpoint(path);
    } finally {
      this.#inUse.splice(this.#inUse.indexOf(step), 1);
    }
  }

  /** What was measured of later steps was measured of states that may be wrong. */
  wentBack(step: number): void {
    for (const measured of this.#measured.keys()) if (measured > step) this.#measured.delete(measured);
  }

  /** A piece of a snapshot. Throws ProtocolError where it is out of turn. */
  take(piece: MessageOf<'statePiece'>): void {
    if (this.#incoming === null || this.#incoming.step !== piece.step) this.#begin(piece.step);
    const snapshot = this.#incoming!;
    snapshot.assembler.take(piece.section, piece.offset, piece.bytes);
    // As it lies in memory now, and will be written.
    const section = this.#plan.layout.sections.findIndex(({ name }) => name === piece.section);
    const bytes = new Uint8Array(snapshot.vectors[section]!.buffer, piece.offset, piece.bytes.length);
    snapshot.digest = moreOfDigest(bytes, snapshot.digest);
    if (!snapshot.assembler.isComplete) return;
    this.#incoming = null;
    this.#arrived = snapshot;
    this.#on.came(snapshot.step, snapshot.digest);
  }

  /** All agree on the snapshot of this step; the promise is that of its write. */
  keep(step: number): Promise<void> {
    const snapshot = this.#arrived;
    // A newer one has taken its place.
    if (snapshot?.step !== step) return Promise.resolve();
    this.#arrived = null;
    if (this.#plan.facts.cadence.evaluateAfter(snapshot.step) && !this.#measured.has(snapshot.step)) {
      this.#held = snapshot;
      return Promise.resolve();
    }
    return this.#enqueue(snapshot);
  }

  /** Where the disk is slower than the snapshots come, some are left out: never the newest, nor the best of them. */
  #enqueue(snapshot: Snapshot): Promise<void> {
    // Written later than a newer one it would take its place.
    if (this.#held !== null && this.#held.step < snapshot.step) this.#held = null;
    this.#on.whole(snapshot.step);
    const { best } = this.#plan.config.checkpoint;
    const waiting = [...this.#waiting.filter(({ step }) => step !== snapshot.step), snapshot];
    waiting.sort((a, b) => a.step - b.step);
    const judged = waiting.map(({ step }) => ({ step, metrics: this.#measured.get(step) ?? {} }));
    const stay = stepsThatStay(judged, waiting.at(-1)!.step, { keep: 1, best });
    this.#waiting = waiting.filter(({ step }) => stay.has(step));
    this.#writing = this.#writing.then(() => this.#writeNext());
    return this.#writing;
  }

  async #writeNext(): Promise<void> {
    const [next, ...others] = this.#waiting;
    this.#waiting = others;
    if (next !== undefined) await this.#write(next);
  }

  #begin(step: number): void {
    const { sections } = this.#plan.layout;
    const vectors = this.#spare ?? sections.map(({ size }) => new Float32Array(size));
    this.#spare = null;
    const parts = sections.map(({ name }, i) => ({ name, bytes: new Uint8Array(vectors[i]!.buffer) }));
    this.#incoming = { step, vectors, assembler: new PieceAssembler(parts), digest: 0 };
  }

  async #write({ step, vectors }: Snapshot): Promise<void> {
    const { config, dataset, layout, out } = this.#plan;
    if (this.#newestPath === null) await noteDataDirectory(out, dataset.directory);
    const named = layout.sections.map(({ kind, tensors }, i) => ({
      kind,
      tensors: namedTensors(vectors[i]!, tensors),
    }));
    const ofKind = (kind: StateSection['kind']): NamedTensor[][] =>
      named.filter((section) => section.kind === kind).map(({ tensors }) => tensors);
    const path = await writeCheckpoint(
      out,
      {
        step,
        seed: config.seed,
        config,
        fingerprint: this.#fingerprint,
        datasetSha256: dataset.sha256,
        trainSha256: dataset.trainSha256,
        fitted: dataset.fitted,
        parameters: ofKind('parameters')[0] ?? [],
        statistics: ofKind('statistics')[0] ?? [],
        slots: ofKind('slot'),
        metrics: this.#measured.get(step) ?? {},
        previousSha256: null,
      },
      { keep: config.checkpoint.keep, best: config.checkpoint.best, inUse: this.#inUse },
    );
    this.#spare = vectors;
    this.#newestPath = path;
    this.#paths.set(step, path);
    this.#on.written(path, step);
  }
}

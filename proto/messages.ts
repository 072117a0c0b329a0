// Every message there is: one table of type, direction and fields. Types, checks and tests are derived from it.
// What a message means for the sender's and the receiver's state is theirs; bytes are made in codec.ts.
// Offsets and sizes of the data set and of state pieces are in bytes; of tensors, in floats of the flat vector.

import { ProtocolError } from './error.ts';
import {
  bytes,
  checkFields,
  choice,
  type Fields,
  flag,
  floats,
  hex,
  integer,
  isPlainObject,
  list,
  number,
  object,
  record,
  text,
  type ValuesOf,
} from './fields.ts';
import { limits } from './limits.ts';

/** up: worker to coordinator; down: coordinator to worker; either: both; peer: worker to worker; any: all of these. */
export type Direction = 'up' | 'down' | 'either' | 'peer' | 'any';

interface MessageRow {
  readonly direction: Direction;
  readonly fields: Fields;
}

const generation = integer();
const step = integer();
/** CRC-32 of a state's sections, one after another. */
const digest = integer();
const bytesTotal = integer(2 ** 48);
const sha256 = hex(64);
const name = text(limits.nameCharsMax);
const host = text(limits.hostCharsMax);
const port = integer(65_535);
const line = text(limits.textCharsMax);
const shard = integer(limits.shardsMax);

const member = object({ workerId: name, host, port, firstShard: shard, endShard: shard });

const dataset = object({
  sha256,
  inputShape: list(integer(), limits.dimensionsMax),
  targetSize: integer(),
  classes: integer(),
  trainSamples: integer(),
  testSamples: integer(),
});

/** The binary parts of a data set, in the order they are sent. */
export const dataParts = ['trainInputs', 'trainTargets', 'testInputs', 'testTargets'] as const;
export type DataPart = (typeof dataParts)[number];

export const messages = {
  // --- joining
  /** First message of a worker. Where other workers reach it: peerHost ('' = the address it comes from) and peerPort. */
  hello: {
    direction: 'up',
    fields: {
      protocolVersion: integer(),
      packageVersion: name,
      fingerprint: sha256,
      kernelHashes: record(sha256, limits.kernelsMax),
      backend: name,
      variant: name,
      threads: integer(limits.threadsMax, 1),
      workerId: name,
      /** From the welcome, empty before the first: it proves the name. */
      nameSecret: text(limits.nameSecretChars),
      peerHost: host,
      peerPort: port,
      /** The run it comes from; '' for a worker that has just started. */
      runId: name,
      /** The newest generation it was a member of. */
      generation,
    },
  },
  /** Answer to hello: the run, its config as JSON text, and what its data set is. */
  welcome: {
    direction: 'down',
    fields: {
      runId: name,
      config: text(limits.configCharsMax),
      workerId: name,
      nameSecret: hex(limits.nameSecretChars),
      dataset,
    },
  },
  /** Answer to hello: not admitted. The connection ends. */
  refused: { direction: 'down', fields: { code: name, message: line } },
  /** The worker has no copy of the data set. */
  dataRequest: { direction: 'up', fields: {} },
  /** A run of bytes of one part (float32, little-endian). Parts follow each other in the order of `dataParts`. */
  dataPiece: {
    direction: 'down',
    fields: { part: choice(...dataParts), offset: bytesTotal, bytes: bytes(limits.pieceBytesMax) },
  },

  // --- a generation
  /** The agreed members in rank order. Whoever gets it gives up the step in flight and answers with its standing. */
  membership: {
    direction: 'down',
    fields: {
      generation,
      members: list(member, limits.workersMax),
      rank: integer(limits.workersMax),
      /** The last step to take now: the end of the run, or earlier where the run is to stop and be resumed. */
      endStep: step,
      /**
       * Every member computes all shards of every step itself, up to `endStep`, and nothing is exchanged: the members' states
       * differed, and equal recomputations are right. Rank 0 reports, evaluates and sends snapshots as a worker alone does.
       */
      alone: flag,
    },
  },
  /** What a member has: the state after `step` committed steps, or none. */
  standing: { direction: 'up', fields: { generation, hasState: flag, step } },
  /**
   * Where the members go on: with the state after `step`. Those of `behind` have it not and are healed by rank `source`; where
   * nobody has it, it comes from the coordinator (origin checkpoint) or is drawn from the seed (step 0). `evaluate`: the
   * evaluation after `step` is still owed, and comes first; `snapshot` likewise.
   */
  align: {
    direction: 'down',
    fields: {
      generation,
      step,
      origin: choice('member', 'checkpoint', 'seed'),
      source: integer(limits.workersMax),
      behind: list(integer(limits.workersMax), limits.workersMax),
      evaluate: flag,
      snapshot: flag,
      /** The first step from here was not finite before: everything that comes from peers in it is looked at. */
      verify: flag,
    },
  },
  /**
   * Mesh, engine and state of this generation stand; `digest` is that of the state. Generation 0: the data set is here, a
   * membership may be formed; the digest is 0.
   */
  ready: { direction: 'up', fields: { generation, digest } },
  start: { direction: 'down', fields: { generation } },
  /** A peer cannot be reached or has gone; the sender's step cannot end. */
  suspect: {
    direction: 'up',
    fields: {
      generation,
      rank: integer(limits.workersMax),
      why: line,
      /** A connection that stood broke, while both ends may be well: it can be made again. */
      broken: flag,
    },
  },
  /**
   * What came from these ranks in `step` cannot be right. No ranks: the step's result is not finite though computed alone it
   * is, and it is not known whose fault that is.
   */
  accuse: {
    direction: 'up',
    fields: { generation, step, ranks: list(integer(limits.workersMax), limits.workersMax), what: line },
  },
  /** The worker wants to leave after this step, and stays to hand over until it is released. */
  leave: { direction: 'up', fields: {} },
  /** The worker is needed no longer. */
  released: { direction: 'down', fields: {} },

  // --- state (parameters, statistics, optimizer slots): to heal a worker, or to be kept
  /** Bytes of one section. The last piece of a section ends at `total`. */
  statePiece: {
    direction: 'any',
    fields: {
      generation,
      step,
      section: name,
      offset: bytesTotal,
      total: bytesTotal,
      bytes: bytes(limits.pieceBytesMax),
    },
  },

  // --- running
  /** Rank 0, after each step: sums of shard s at s * reports (float32), all shards of the run. */
  report: {
    direction: 'up',
    fields: {
      generation,
      step,
      sums: floats(limits.shardSumsBytesMax),
      gradientNorm: number,
      seconds: number,
    },
  },
  /** Every worker, after evaluating: sums of its own shards, [batches][own shards][reports] (float32). */
  evaluation: {
    direction: 'up',
    fields: { generation, step, firstShard: shard, sums: floats(limits.shardSumsBytesMax) },
  },
  /**
   * Every worker, after every so many steps, before each snapshot is due and before `finished`: the digest of its state after
   * `step`. Equal states have equal digests.
   */
  digest: { direction: 'up', fields: { generation, step, digest } },
  /** Finish the step in flight, send the snapshot if asked to, and end with `finished`. */
  stop: { direction: 'down', fields: { generation } },
  finished: { direction: 'up', fields: { generation, step, weightsSha256: sha256 } },
  /** The run is over after `step`, its last one or (`stopped`) one before it; the connection ends. */
  done: { direction: 'down', fields: { step, stopped: flag } },
  /** The sender cannot go on, or the receiver shall not. */
  failure: {
    direction: 'either',
    fields: { code: name, message: line, generation, step, phase: name },
  },

  // --- worker to worker
  /** First message of the worker that dialled; the other answers with its own. */
  peerHello: { direction: 'peer', fields: { runId: name, generation, rank: integer(limits.workersMax) } },
  /** The sender's own nodes of the flat range that starts at `offset`: [nodes][floats]. */
  partial: {
    direction: 'peer',
    fields: { generation, step, bucket: integer(), offset: integer(), data: floats(limits.partialBytesMax) },
  },
  /** The reduced gradient of the flat range that starts at `offset`. */
  sum: {
    direction: 'peer',
    fields: { generation, step, bucket: integer(), offset: integer(), data: floats(limits.sumBytesMax) },
  },
  /** The sender's nodes of a small all-to-all swap (batch-norm records). */
  exchange: {
    direction: 'peer',
    fields: {
      generation,
      step,
      exchange: integer(limits.exchangesMax),
      data: floats(limits.exchangeBytesMax),
    },
  },
  /** Ends a step: the sums of the sender's own shards, [own shards][reports], and flags that all are to hear of. */
  shardReport: {
    direction: 'peer',
    fields: { generation, step, flags: integer(), data: floats(limits.shardSumsBytesMax) },
  },
} as const satisfies Record<string, MessageRow>;

type Table = typeof messages;
export type MessageType = keyof Table;
export type MessageOf<T extends MessageType> = T extends MessageType
  ? { readonly type: T } & ValuesOf<Table[T]['fields']>
  : never;
export type Message = MessageOf<MessageType>;

/** What one end of a connection may say: the coordinator's end, a worker's end, or a peer's. */
export type End = 'coordinator' | 'worker' | 'peer';

interface SentBy {
  coordinator: 'down' | 'either' | 'any';
  worker: 'up' | 'either' | 'any';
  peer: 'peer' | 'any';
}
type TypesOf<D extends Direction> = {
  [T in MessageType]: Table[T]['direction'] extends D ? T : never;
}[MessageType];

/** Messages an end sends. */
export type MessageFrom<E extends End> = MessageOf<TypesOf<SentBy[E]>>;
/** The end across the connection. */
export type Across<E extends End> = E extends 'coordinator'
  ? 'worker'
  : E extends 'worker'
    ? 'coordinator'
    : 'peer';

export const across: { readonly [E in End]: Across<E> } = {
  coordinator: 'worker',
  worker: 'coordinator',
  peer: 'peer',
};

const directionsSent: { readonly [E in End]: readonly Direction[] } = {
  coordinator: ['down', 'either', 'any'],
  worker: ['up', 'either', 'any'],
  peer: ['peer', 'any'],
};

export const messageTypes = Object.keys(messages) as MessageType[];

/** Checks a decoded value: a known message that `sender` may send, with exactly its fields. Throws ProtocolError. */
export function checkMessage<E extends End>(value: unknown, sender: E): MessageFrom<E> {
  if (!isPlainObject(value)) throw new ProtocolError('invalid', 'a message must be a map');
  const type = value.type;
  if (typeof type !== 'string' || !Object.hasOwn(messages, type))
    throw new ProtocolError('unknownType', 'a message of a type that is not known');
  const row: MessageRow = messages[type as MessageType];
  const problem = checkFields(row.fields, value, `message ${type}`, 'type');
  if (problem !== null) throw new ProtocolError('invalid', problem);
  if (!directionsSent[sender].includes(row.direction))
    throw new ProtocolError('unexpected', `message ${type} is not a ${sender}'s to send`);
  return value as unknown as MessageFrom<E>;
}

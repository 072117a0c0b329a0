// Every limit of the protocol by name, unit last. One table, so that nothing else in this folder holds a number.

const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;

export const limits = {
  // --- text, in characters
  textCharsMax: 2_000,
  nameCharsMax: 128,
  hostCharsMax: 255,
  nameSecretChars: 64,
  configCharsMax: 4 * mebibyte,
  // --- counts
  workersMax: 1_024,
  shardsMax: 65_536,
  kernelsMax: 256,
  threadsMax: 4_096,
  dimensionsMax: 8,
  exchangesMax: 65_535,
  // --- binary fields, in bytes
  pieceBytesMax: mebibyte,
  partialBytesMax: 16 * mebibyte,
  sumBytesMax: 2 * mebibyte,
  exchangeBytesMax: 16 * mebibyte,
  shardSumsBytesMax: 16 * mebibyte,
  /** Bytes of one tensor message that a sender aims at. */
  tensorMessageBytes: 512 * kibibyte,
  /** Tensor messages from this size on are taken while they come, if the receiver wants to. */
  streamedMessageBytesMin: 16 * kibibyte,
  // --- whole frames by the role of the connection, in bytes: the largest field and room for the rest
  workerFrameBytesMax: 17 * mebibyte,
  peerFrameBytesMax: 17 * mebibyte,
  observerFrameBytesMax: 64 * kibibyte,
  adminFrameBytesMax: 64 * kibibyte,
  /** Sockets that have not become WebSockets yet: all workers there can be may dial at one time, and as many strangers. */
  pendingSocketsMax: 2_048,
  /** The same over TLS, where each costs 50 KiB and more. */
  pendingTlsSocketsMax: 512,
  /** WebSockets of one listener. */
  openSocketsMax: 2_048,
  /** A process whose limit of open files leaves room for fewer sockets that are not let in yet cannot listen. */
  pendingSocketsMin: 4,
  /** Descriptors that a process needs for itself: for its files, and for each thread or child process. */
  ownFiles: 32,
  filesOfThread: 4,
  /** Refusals that one host is told without waiting, and then the time between two, in milliseconds. */
  refusalsAtOnce: 100,
  refusalIntervalMs: 10,
  /** Hosts whose refusals are remembered. */
  refusedHostsMax: 4_096,
  /** Of HTTP headers at the upgrade, in bytes. */
  headerBytesMax: 8 * kibibyte,
  // --- shape of a msgpack value
  depthMax: 6,
  itemsMax: 65_536,
  // --- queues, in bytes
  /** A sender of bulk data waits above this (Connection.drained). */
  sendQueueBytes: 4 * mebibyte,
  /** The same for one of many that are sent to at once: the pieces of all of them are in memory together. */
  bulkQueueBytes: 256 * kibibyte,
  /** Small exchanges that arrive early, of one peer. */
  earlyBytesMax: 32 * mebibyte,
  /** The same as messages: exchanges of one step and shard reports. */
  earlyMessagesMax: 4_096,
  // --- time
  connectTimeoutMs: 10_000,
  upgradeTimeoutMs: 10_000,
  closeTimeoutMs: 2_000,
  /** To connect to all peers, for every member on top of it: each has handshakes with all others, on cores they may share. */
  meshTimeoutMs: 5_000,
  meshTimeoutOfMemberMs: 150,
  /** Between two pings, at least. */
  pingIntervalMs: 450,
  /** Between two looks at whether the other end of a connection is alive. */
  lookIntervalMs: 250,
  /** Who looks as late as this could not hear either. */
  blindMs: 1_000,
  /** A member that says nothing for longer than this while the run runs is lost: with the time between two looks, within 2 s. */
  silenceMs: 1_750,
  /** The same while it loads or compiles, when one turn of its main thread may be long. */
  silenceWhileFormingMs: 30_000,
  /** From when it has compiled until it is ready a turn goes over its state at most: a slow, busy core does so much of it in a millisecond. */
  stateBytesOfMillisecond: 50_000,
} as const;

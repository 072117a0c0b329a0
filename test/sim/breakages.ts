// Ways in which a simulated cluster can be made to break a rule, so that a test sees the rule's observer fail. Each is a line
// or two in the simulated code path; no run has one unless it is asked for.

export type Breakage =
  /** A worker adds one of its shards twice, and the next not at all. */
  | 'takesShardTwice'
  /** Samplers leave the last, ragged batch of an epoch out. */
  | 'dropsRaggedBatch'
  /** A weight depends on how many workers there are. */
  | 'countsWorkers'
  /** A member does not give up the step in flight when a newer generation forms. */
  | 'goesOnInOldGeneration'
  /** The coordinator tells what a member of an older generation reports. */
  | 'countsOldReports'
  /** The journal keeps nothing. */
  | 'forgetsGenerations'
  /** The journal does not say whose kernels the run has. */
  | 'forgetsNumerics'
  /** A checkpoint is told before it is written. */
  | 'acknowledgesBeforeWriting'
  /** A step is told before it is applied. */
  | 'reportsBeforeUpdate'
  | 'reportsOtherLosses'
  | 'evaluatesOtherShards'
  /** A member says that it is a step behind where it is. */
  | 'understatesItsStep'
  /** Nobody looks at the states: all digests are the same. */
  | 'looksAtNoState'
  /** The run ends without its last checkpoint. */
  | 'endsBeforeWriting'
  /** Bulk data is sent without waiting for room. */
  | 'floodsSockets'
  /** Parts of swaps are sent a step ahead of their time, too. */
  | 'swapsAhead'
  /** A worker dials each of the others many times. */
  | 'dialsTooOften'
  /** Whoever gets a wrong message says that it came from another. */
  | 'blamesAnother'
  /** A worker that was released stays. */
  | 'ignoresRelease'
  /** The coordinator does not hear that members are ready. */
  | 'neverStarts';

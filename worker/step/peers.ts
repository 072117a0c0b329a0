// What a step needs of the other workers; worker/collective/ fills it in over the mesh. When alone there is none.

export interface SwappedReports {
  /** Sums of every shard of the run: [shards][reports]. */
  readonly sums: Float32Array;
  /** Somebody asked to stop after this step. */
  readonly stop: boolean;
}

export interface StepPeers {
  /** The own nodes of a bucket are complete; resolves when the arena's gradient holds its sum over all workers. */
  reduce(step: number, bucket: number): Promise<void>;
  /** Resolves when the gathered nodes of all workers are in the arena. */
  exchange(step: number, exchange: number): Promise<void>;
  /** `sums`: [shards][reports], the own shards' filled in. */
  swapReports(step: number, sums: Float32Array, stop: boolean): Promise<SwappedReports>;
  /** Ranks that keep this step waiting. */
  waitingFor(step: number): readonly number[];
}

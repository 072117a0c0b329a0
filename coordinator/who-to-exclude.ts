// Whom a run goes on without, and for how long: one decision over what speaks against members now, with one back-off. Pure.

/** Two members cannot work with each other, as one of them says. */
export interface Pair {
  readonly by: string;
  readonly about: string;
  /** `broken`: a connection that stood broke, which may be nobody's fault. `wrong`: what came cannot be right. */
  readonly kind: 'unreachable' | 'broken' | 'wrong';
  readonly what: string;
  /** In which it came; undefined where it is of none. */
  readonly step?: number;
}

export interface Against {
  readonly workerId: string;
  readonly what: string;
}

/** An exclusion before, or now. */
export interface Exclusion {
  /** So many in a row. */
  readonly times: number;
  readonly untilMs: number;
}

export interface Evidence {
  /** In the order in which they joined. */
  readonly members: readonly string[];
  /** What the coordinator itself received, or a majority of recomputations, shows. */
  readonly certain: readonly Against[];
  /** Those that the others waited for, and for how long, in milliseconds. */
  readonly late: readonly (Against & { readonly waitedMs: number })[];
  readonly pairs: readonly Pair[];
  /** By worker. */
  readonly before: ReadonlyMap<string, Exclusion>;
}

export interface Decision {
  /** Nobody: all connect anew. */
  readonly workers: readonly string[];
  /** By worker, in place of those before: also of the other one of a pair, which may as well be the cause. */
  readonly exclusions: ReadonlyMap<string, Exclusion>;
  readonly reason: string;
  /** It is certain that they do wrong: they are told so, and not only that they are not let in. */
  readonly isCertain: boolean;
}

/**
 * An exclusion lasts as long as the first, or as what the worker cost the others, and each further time twice as long, up to the
 * most, or so many times the cost. Each `forgotten` after its end takes one time back.
 */
const backOff = { firstMs: 5_000, mostMs: 300_000, mostCosts: 12, forgottenMs: 300_000 } as const;

/**
 * Certain evidence comes first, then who was late, then whom most others accuse; of those that cannot reach each other, who cannot
 * reach the most, of equals who had more such trouble of late, of whom more say so, and who joined later. Null where nobody can say who: then all compute again, each alone.
 */
export function whoToExclude(nowMs: number, evidence: Evidence): Decision | null {
  const { certain, late } = evidence;
  if (certain.length > 0) return excluded(nowMs, evidence, certain, { isCertain: true });
  if (late.length > 0) {
    return excluded(nowMs, evidence, late, { costMs: Math.max(...late.map(({ waitedMs }) => waitedMs)) });
  }
  return ofPairs(nowMs, evidence);
}

function ofPairs(nowMs: number, evidence: Evidence): Decision | null {
  const { members, pairs } = evidence;
  const wrong = pairs.filter(({ kind }) => kind === 'wrong');
  if (wrong.length > 0) return accusedByMost(nowMs, evidence, wrong);
  const partners = (workerId: string): string[] => partnersOf(workerId, pairs);
  const times = (workerId: string): number => timesOf(nowMs, evidence.before.get(workerId));
  const complaints = (workerId: string): number =>
    distinct(pairs.flatMap(({ by, about }) => (about === workerId ? by : []))).length;
  const workerId = last(members, (each) => [partners(each).length, times(each), complaints(each)]);
  if (workerId === undefined || partners(workerId).length === 0) return null;
  const own = pairs.filter(({ by, about }) => by === workerId || about === workerId);
  const passes = times(workerId) === 0 && own.every(({ kind }) => kind === 'broken');
  const names = partners(workerId).join(' and ');
  const reason = passes
    ? `all connect anew: ${own[0]!.what}`
    : `it and ${names} cannot reach each other: ${own[0]!.what}`;
  const decision = excluded(nowMs, evidence, [{ workerId, what: reason }], {});
  const staying = passes ? [workerId, ...partners(workerId)] : partners(workerId);
  const noted = staying.map((each) => {
    const untilMs = evidence.before.get(each)?.untilMs ?? nowMs;
    return [each, { times: times(each) + 1, untilMs: Math.max(nowMs, untilMs) }] as const;
  });
  return {
    ...decision,
    workers: passes ? [] : decision.workers,
    exclusions: new Map([...decision.exclusions, ...noted]),
  };
}

/** Most of the others must say so, and two at least: who accuses may be the one that is wrong, whomever it accuses. */
function accusedByMost(nowMs: number, evidence: Evidence, wrong: readonly Pair[]): Decision | null {
  const { members } = evidence;
  const accusersOf = (workerId: string): string[] =>
    distinct(wrong.flatMap(({ by, about }) => (about === workerId ? by : [])));
  const workerId = last(members, (each) => [accusersOf(each).length]);
  const accusers = workerId === undefined ? [] : accusersOf(workerId);
  if (workerId === undefined || accusers.length < 2 || 2 * accusers.length <= members.length - 1) return null;
  const { by, what } = wrong.find(({ about }) => about === workerId)!;
  const got = `worker ${by} got from it ${what}`.slice(0, 1_000);
  return excluded(nowMs, evidence, [{ workerId, what: got }], { isCertain: true });
}

function partnersOf(workerId: string, pairs: readonly Pair[]): string[] {
  return distinct(pairs.flatMap(({ by, about }) => (by === workerId ? about : about === workerId ? by : [])));
}

const distinct = (names: readonly string[]): string[] => [...new Set(names)];

/** The last member, in the order in which they joined, of those with the most; later numbers count among equals. */
function last(members: readonly string[], countsOf: (workerId: string) => number[]): string | undefined {
  let most: { readonly workerId: string; readonly counts: number[] } | undefined;
  for (const workerId of members) {
    const counts = countsOf(workerId);
    const differs = counts.findIndex((count, i) => count !== most?.counts[i]);
    if (most === undefined || differs < 0 || counts[differs]! > most.counts[differs]!)
      most = { workerId, counts };
  }
  return most?.workerId;
}

function excluded(
  nowMs: number,
  { before }: Evidence,
  against: readonly Against[],
  { costMs = 0, isCertain = false }: { readonly costMs?: number; readonly isCertain?: boolean },
): Decision {
  const workers = against.map(({ workerId }) => workerId);
  const times = Math.max(...workers.map((workerId) => timesOf(nowMs, before.get(workerId))));
  const firstMs = Math.max(backOff.firstMs, costMs);
  let ms = firstMs;
  const mostMs = Math.max(backOff.mostMs, backOff.mostCosts * costMs);
  for (let time = 0; time < times && ms < mostMs; time += 1) ms *= 2;
  const exclusion = { times: times + 1, untilMs: nowMs + Math.min(mostMs, ms) };
  const exclusions = new Map(workers.map((workerId) => [workerId, exclusion]));
  return { workers, exclusions, reason: against[0]!.what, isCertain };
}

/** Those that are not forgotten. */
function timesOf(nowMs: number, before: Exclusion | undefined): number {
  if (before === undefined) return 0;
  const forgotten = Math.floor(Math.max(0, nowMs - before.untilMs) / backOff.forgottenMs);
  return Math.max(0, before.times - forgotten);
}

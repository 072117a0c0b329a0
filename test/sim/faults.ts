// What goes wrong, how often, and for how long: all drawn from the seed. Each seed has its own mixture, and some have none of
// a kind, so that rare combinations are not drowned.

import type { Host, Random } from './clock.ts';
import { Liar, lies, quietLies } from './lies.ts';
import type { Simulation } from './simulation.ts';

/** Relative weight of each kind of fault; `crashHere`: the chance of a crash between any two effects; `duplicates`: of a copy. */
export interface FaultRates {
  readonly killWorker: number;
  readonly killCoordinator: number;
  readonly stopWorker: number;
  readonly stopCoordinator: number;
  readonly slowWorker: number;
  readonly stickLanes: number;
  readonly lie: number;
  /** A worker sends finite numbers that are wrong, or digests. */
  readonly lieQuietly: number;
  /** A bit flips in memory. */
  readonly flip: number;
  /** A laptop that sleeps: all its timers are late, and come first when it wakes. */
  readonly suspend: number;
  readonly clockJump: number;
  readonly slowDisk: number;
  readonly failCheckpoint: number;
  readonly failJournal: number;
  readonly damageCheckpoint: number;
  readonly cutOneWay: number;
  readonly cutBothWays: number;
  readonly clog: number;
  readonly breakConnection: number;
  readonly join: number;
  /** A worker comes that has other kernels. */
  readonly joinForeign: number;
  readonly leave: number;
  readonly interrupt: number;
  readonly crashHere: number;
  readonly duplicates: number;
  /** Mean time between two faults, and how long they go on, in milliseconds. */
  readonly everyMs: number;
  readonly safetyMs: number;
}

/** `dataRandom`: apart, for what came later than the other faults, so that most seeds have the same of those as ever. */
export function ratesOf(random: Random, dataRandom: Random): FaultRates {
  const weightOf = (from: Random, likely: number): number =>
    from.chance(likely) ? from.magnitude(0.1, 3) : 0;
  const weight = (likely = 0.5): number => weightOf(random, likely);
  const hasData = dataRandom.chance(0.3);
  return {
    lieQuietly: hasData ? weightOf(dataRandom, 0.5) : 0,
    flip: hasData ? weightOf(dataRandom, 0.7) : 0,
    killWorker: weight(0.7),
    killCoordinator: weight(),
    stopWorker: weight(),
    stopCoordinator: weight(0.2),
    slowWorker: weight(),
    stickLanes: weight(),
    lie: weight(0.3),
    suspend: weight(0.4),
    clockJump: weight(0.4),
    slowDisk: weight(),
    failCheckpoint: weight(0.2),
    failJournal: weight(0.2),
    damageCheckpoint: weight(0.4),
    cutOneWay: weight(),
    cutBothWays: weight(),
    clog: weight(),
    breakConnection: weight(),
    join: weight(),
    leave: weight(),
    interrupt: weight(0.15),
    duplicates: random.chance(0.5) ? random.magnitude(0.001, 0.3) : 0,
    crashHere: random.chance(0.4) ? random.magnitude(0.0002, 0.01) : 0,
    everyMs: random.magnitude(20, 800),
    safetyMs: random.magnitude(500, 8_000),
    joinForeign: weight(0.3),
  };
}

type Kind = Exclude<keyof FaultRates, 'crashHere' | 'duplicates' | 'everyMs' | 'safetyMs'>;

const workersMost = 6;

export class Faults {
  readonly #simulation: Simulation;
  readonly #rates: FaultRates | null;
  #over: boolean;
  healedAtMs = 0;
  count = 0;
  /** A disk fault was made. */
  hurtDisk = false;
  /** Some were made late. */
  hurtLanes = false;

  /** `rates` null: nothing goes wrong. */
  constructor(simulation: Simulation, rates: FaultRates | null) {
    this.#simulation = simulation;
    this.#rates = rates;
    this.#over = rates === null;
  }

  begin(): void {
    if (this.#rates === null) this.#simulation.healed();
    else {
      this.#simulation.clock.after(this.#rates.safetyMs, () => this.#heal());
      this.#next(this.#rates);
    }
  }

  drawCrash(): boolean {
    if (this.#over || this.#rates === null || this.#rates.crashHere === 0) return false;
    const crashes = this.#simulation.random.chance(this.#rates.crashHere);
    if (crashes) this.count += 1;
    return crashes;
  }

  #heal(): void {
    const { network, workers, coordinator, clock, disk } = this.#simulation;
    this.#over = true;
    this.healedAtMs = clock.nowMs;
    this.#simulation.healed();
    network.healAll();
    disk.heal();
    for (const { host } of [...workers, ...(coordinator === null ? [] : [coordinator])]) {
      host.slowness = 1;
      host.goOn();
      host.freeLanes();
    }
  }

  #next(rates: FaultRates): void {
    const { clock, random } = this.#simulation;
    clock.after(-Math.log(1 - random.next()) * rates.everyMs, () => {
      if (this.#over) return;
      this.#strike(this.#draw(rates));
      this.#next(rates);
    });
  }

  #draw(rates: FaultRates): Kind {
    const kinds = Object.keys(strikes) as Kind[];
    let left = this.#simulation.random.next() * kinds.reduce((sum, kind) => sum + rates[kind], 0);
    for (const kind of kinds) {
      left -= rates[kind];
      if (left < 0) return kind;
    }
    return 'killWorker';
  }

  #strike(kind: Kind): void {
    this.count += 1;
    this.#simulation.trace('fault', kind, {});
    this.hurtDisk ||= diskFaults.includes(kind);
    this.hurtLanes ||= laneFaults.includes(kind);
    strikes[kind](this.#simulation, (ms, undo) =>
      this.#simulation.clock.after(ms, () => {
        if (!this.#over) undo();
      }),
    );
  }
}

const diskFaults: readonly Kind[] = ['failCheckpoint', 'failJournal', 'damageCheckpoint'];

const laneFaults: readonly Kind[] = ['stickLanes', 'slowWorker', 'stopWorker', 'suspend', 'clockJump'];

/** Any process, often the coordinator. */
function anyHost({ random, living, coordinator }: Simulation): Host | null {
  if (living.length === 0 || random.chance(0.3)) return coordinator?.host ?? null;
  return random.pick(living).host;
}

/** Undoes the fault after a while, unless all faults are over by then. */
type Later = (ms: number, undo: () => void) => void;

/** Two processes, often a worker and the coordinator. */
function twoOf({ random, living }: Simulation): readonly [string, string] | null {
  if (living.length === 0) return null;
  const one = random.pick(living).host.name;
  if (random.chance(0.4)) return random.chance(0.5) ? [one, 'coordinator'] : ['coordinator', one];
  const other = random.pick(living).host.name;
  return one === other ? null : [one, other];
}

const strikes: { readonly [K in Kind]: (simulation: Simulation, later: Later) => void } = {
  killWorker: ({ living, random }) => {
    if (living.length > 0) random.pick(living).host.kill();
  },
  killCoordinator: ({ coordinator }) => coordinator?.host.kill(),
  stopWorker: ({ living, random }, later) => {
    if (living.length === 0) return;
    const { host } = random.pick(living);
    host.stop();
    later(random.magnitude(10, 6_000), () => host.goOn());
  },
  stopCoordinator: ({ coordinator, random }, later) => {
    const host = coordinator?.host;
    host?.stop();
    later(random.magnitude(10, 4_000), () => host?.goOn());
  },
  slowWorker: ({ living, random }, later) => {
    if (living.length === 0) return;
    const { host } = random.pick(living);
    host.wasHurt = true;
    host.slowness = random.magnitude(2, 100);
    later(random.magnitude(100, 3_000), () => {
      host.slowness = 1;
    });
  },
  stickLanes: ({ living, random }, later) => {
    if (living.length === 0) return;
    const { host } = random.pick(living);
    // Some never come back, whatever else is healed.
    host.stickLanes(random.chance(0.3));
    later(random.magnitude(50, 8_000), () => host.freeLanes());
  },
  lie: ({ living, random }) => {
    if (living.length > 0) random.pick(living).liar ??= new Liar(random.pick(lies), random);
  },
  lieQuietly: (simulation) => {
    const { living, random } = simulation;
    if (living.length === 0) return;
    random.pick(living).liar ??= new Liar(random.pick(quietLies), random);
    simulation.dataIsWrong();
  },
  flip: ({ living, random }) => {
    if (living.length > 0) random.pick(living).flipsNext = true;
  },
  suspend: (simulation, later) => {
    const { random } = simulation;
    const host = anyHost(simulation);
    if (host === null) return;
    host.stop();
    const clockStood = random.chance(0.5);
    later(random.magnitude(50, 20_000), () => host.goOn('timers', clockStood));
  },
  clockJump: (simulation) => {
    const { random } = simulation;
    const ahead = random.chance(0.7);
    anyHost(simulation)?.jump(ahead ? random.magnitude(10, 60_000) : -random.magnitude(10, 5_000));
  },
  slowDisk: ({ disk, random }, later) => {
    disk.slownessMs = random.magnitude(2, 500);
    later(random.magnitude(100, 4_000), () => {
      disk.slownessMs = 1;
    });
  },
  failCheckpoint: ({ disk }) => disk.failNext('checkpoint'),
  failJournal: ({ disk }) => disk.failNext('journal'),
  damageCheckpoint: ({ disk, random, observers }) => {
    if (disk.damage(random)) observers.checkpointDamaged(disk.good);
  },
  cutOneWay: (simulation, later) => {
    const two = twoOf(simulation);
    if (two === null) return;
    simulation.network.cut(two[0], two[1]);
    later(simulation.random.magnitude(10, 8_000), () => simulation.network.mend(two[0], two[1]));
  },
  cutBothWays: (simulation, later) => {
    const two = twoOf(simulation);
    if (two === null) return;
    const [one, other] = two;
    simulation.network.cut(one, other);
    simulation.network.cut(other, one);
    later(simulation.random.magnitude(10, 8_000), () => {
      simulation.network.mend(one, other);
      simulation.network.mend(other, one);
    });
  },
  clog: (simulation, later) => {
    const two = twoOf(simulation);
    if (two === null) return;
    simulation.network.clog(two[0], two[1], simulation.random.magnitude(5, 500));
    later(simulation.random.magnitude(50, 3_000), () => simulation.network.clog(two[0], two[1], 0));
  },
  breakConnection: (simulation) => {
    const two = twoOf(simulation);
    if (two !== null) simulation.network.breakOne(two[0], two[1]);
  },
  join: (simulation) => {
    if (simulation.living.length < workersMost) simulation.startWorker();
  },
  // Before the first membership the run has no kernels yet: it would be begun with these.
  joinForeign: (simulation) => {
    if (simulation.disk.generation > 0 && simulation.living.length < workersMost)
      simulation.startWorker(true);
  },
  leave: ({ living, random }) => {
    if (living.length > 0) random.pick(living).leave();
  },
  interrupt: ({ coordinator }) => coordinator?.stop(),
};

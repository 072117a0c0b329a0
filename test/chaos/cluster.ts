// For chaos tests: a coordinator and workers as real processes, which are killed, stopped and started again. Remembers when
// each event of the coordinators was told, across restarts.

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { RunEvent } from '../../src/engine/events.ts';
import { cleanEnvironment, entry } from '../e2e/command-line.ts';

export interface Told {
  readonly event: RunEvent;
  readonly atMs: number;
}

export interface Process {
  readonly child: ChildProcess;
  readonly name: string;
  readonly startedMs: number;
  stderr: string;
  readonly ended: Promise<number | null>;
}

export interface ClusterOptions {
  readonly cwd: string;
  /** Config file, from `cwd`. */
  readonly config: string;
  readonly out: string;
  readonly workers: number;
  /** More arguments of the coordinator. */
  readonly more?: readonly string[];
  /** Where the coordinator listens; 127.0.0.1 unless told. */
  readonly host?: string;
  /** What comes before the coordinator's command line. */
  readonly inside?: readonly string[];
}

/** Where a worker is, if it is not beside the coordinator. */
export interface Place {
  /** What comes before its command line. */
  readonly inside?: readonly string[];
  /** Where it reaches the coordinator. */
  readonly joinUrl?: string;
  /** More arguments. */
  readonly more?: readonly string[];
}

/** Of every cluster; in no log. */
export const token = 'c0ffee00'.repeat(8);

export const isAlive = ({ child }: Process): boolean => child.exitCode === null && child.signalCode === null;

export class Cluster {
  readonly told: Told[] = [];
  readonly processes: Process[] = [];
  workers: Process[] = [];
  coordinator: Process | null = null;
  readonly #options: ClusterOptions;
  readonly #watchers = new Set<(told: Told) => void>();
  #port = 0;
  #over = false;

  constructor(options: ClusterOptions) {
    this.#options = options;
  }

  get wanted(): number {
    return this.#options.workers;
  }

  /** A coordinator that listens, and the workers it wants. */
  async start(): Promise<void> {
    await this.startCoordinator(false);
    for (let i = 0; i < this.#options.workers; i += 1) this.startWorker();
  }

  /** Resolves when it listens. */
  async startCoordinator(resume: boolean): Promise<Process> {
    const { config, out, workers, more = [], inside = [], host = '127.0.0.1' } = this.#options;
    const args = ['coordinator', config, '--listen', `${host}:${this.#port}`, '--out', out, '--json'];
    const listening = this.next(({ event }) => event.event === 'listening');
    const coordinator = this.#spawn(
      'coordinator',
      [...args, '--workers', `${workers}`, ...(resume ? ['--resume'] : []), ...more],
      inside,
    );
    this.coordinator = coordinator;
    const { event } = await Promise.race([
      listening,
      coordinator.ended.then((code) => {
        throw new Error(`the coordinator ended with ${code}: ${coordinator.stderr}`);
      }),
    ]);
    if (event.event === 'listening') this.#port = Number(new URL(event.url).port);
    return coordinator;
  }

  /** Where the coordinator listens. */
  get url(): string {
    return `ws://${this.#options.host ?? '127.0.0.1'}:${this.#port}`;
  }

  startWorker({ inside = [], joinUrl = this.url, more = [] }: Place = {}): Process {
    const args = ['worker', '--join', joinUrl, '--threads', '1', ...more];
    const worker = this.#spawn(`worker ${this.processes.length}`, args, inside);
    this.workers.push(worker);
    return worker;
  }

  /** The next event that `matches`. */
  next(matches: (told: Told) => boolean): Promise<Told> {
    return new Promise((resolve) => {
      const watcher = (told: Told): void => {
        if (!matches(told)) return;
        this.#watchers.delete(watcher);
        resolve(told);
      };
      this.#watchers.add(watcher);
    });
  }

  /** Resolves when the coordinator wrote it on stderr. */
  coordinatorSays(pattern: RegExp): Promise<void> {
    const { child, stderr } = this.coordinator!;
    let said = stderr;
    return new Promise((resolve) => {
      const look = (text: string): void => {
        said += text;
        if (pattern.test(said)) resolve();
      };
      child.stderr?.on('data', look);
      look('');
    });
  }

  /** The step told last. */
  get step(): number {
    const last = this.told.findLast(({ event }) => event.event === 'step');
    return last?.event.event === 'step' ? last.event.step : 0;
  }

  /** Members of the newest membership. */
  get world(): number {
    const last = this.told.findLast(({ event }) => event.event === 'membership');
    return last?.event.event === 'membership' ? last.event.world : 0;
  }

  /** What every process wrote on stderr, for the message of a failure. */
  get logs(): string {
    return this.processes.map(({ name, child, stderr }) => `${name} (${child.pid})\n${stderr}`).join('\n');
  }

  /** Kills whatever is still there. */
  async end(): Promise<void> {
    this.#over = true;
    for (const { child } of this.processes) child.kill('SIGKILL');
    await Promise.all(this.processes.map(({ ended }) => ended));
  }

  #spawn(name: string, args: readonly string[], inside: readonly string[]): Process {
    const [program, ...line] = [...inside, process.execPath, entry, ...args];
    const child = spawn(program!, line, {
      cwd: this.#options.cwd,
      env: { ...cleanEnvironment(), LOCKSTEP_TOKEN: token },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
    const started: Process = { child, name, startedMs: performance.now(), stderr: '', ended };
    this.processes.push(started);
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      started.stderr += text;
    });
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (this.#over || name !== 'coordinator') return;
      const told: Told = { event: parsed(line), atMs: performance.now() };
      this.told.push(told);
      for (const watcher of [...this.#watchers]) watcher(told);
    });
    return started;
  }
}

/** A process that is killed may leave half a line. */
function parsed(line: string): Told['event'] {
  try {
    return JSON.parse(line) as Told['event'];
  } catch {
    return { event: 'notice', message: line };
  }
}

// For end-to-end tests: a control group with a memory limit, as a container has one. Not every machine lets a test make one.

import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = '/sys/fs/cgroup';

export class ControlGroup {
  readonly #path: string;
  readonly #version: 1 | 2;

  private constructor(path: string, version: 1 | 2) {
    this.#path = path;
    this.#version = version;
  }

  /** A group of its own with this limit; what starts `command` with it is in it. Throws where the machine has none to give. */
  static make(limitBytes: number): ControlGroup {
    const version = existsSync(join(root, 'cgroup.controllers')) ? 2 : 1;
    const path = join(version === 1 ? join(root, 'memory') : root, `lockstep-test-${process.pid}`);
    mkdirSync(path);
    const group = new ControlGroup(path, version);
    try {
      const file = version === 1 ? 'memory.limit_in_bytes' : 'memory.max';
      writeFileSync(join(path, file), String(limitBytes));
    } catch (error) {
      group.remove();
      throw error;
    }
    return group;
  }

  /** Why `make` would throw here, else null. */
  static unavailable(): string | null {
    try {
      ControlGroup.make(2 ** 30).remove();
      return null;
    } catch (error) {
      return `no control group can be made here: ${(error as Error).message}`;
    }
  }

  /** Runs a program and all that it starts in the group. */
  command(program: string, ...args: readonly string[]): [string, ...string[]] {
    const enter = `echo $$ > ${join(this.#path, 'cgroup.procs')} && exec "$@"`;
    return ['sh', '-c', enter, 'sh', program, ...args];
  }

  /** Processes that the system ended for want of memory. */
  get killed(): number {
    const file = this.#version === 1 ? 'memory.oom_control' : 'memory.events';
    return Number(/^oom_kill (\d+)$/m.exec(readFileSync(join(this.#path, file), 'utf8'))?.[1]);
  }

  /** Bytes of memory that are not cached pages of files, now. */
  get bytes(): number {
    const stat = readFileSync(join(this.#path, 'memory.stat'), 'utf8');
    return Number(/^(?:total_rss|anon) (\d+)$/m.exec(stat)?.[1]);
  }

  remove(): void {
    rmdirSync(this.#path);
  }
}

// For chaos tests: hosts as network namespaces around a router of their own, and a packet filter in the router that cuts
// between them. Everything lies inside of namespaces named by this process, so nothing of the machine's network is touched.

import { spawnSync } from 'node:child_process';

/** What the router does with packets of `from` to `to` (null: anybody's, to anybody). */
export interface Cut {
  readonly from: string | null;
  readonly to: string | null;
  /** drop: they vanish. reset: whoever sent one is told that the connection is over. */
  readonly how: 'drop' | 'reset';
}

const prefix = 'lockstep';
const mine = `${prefix}-${process.pid}`;

/** Throws with what the command said. */
function ip(args: readonly string[], input = ''): string {
  const { status, stdout, stderr, error } = spawnSync('ip', args, { encoding: 'utf8', input });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr.trim()}`);
  return stdout;
}

/** Why no namespaces can be made here, or null. */
export function whyNoNamespaces(): string | null {
  if (process.platform !== 'linux') return `${process.platform} has no network namespaces`;
  for (const tool of ['ip', 'iptables-restore']) {
    if (spawnSync(tool, ['-V']).error !== undefined) return `${tool} is not installed`;
  }
  try {
    const probe = new Network([]);
    try {
      probe.cut([{ from: null, to: null, how: 'reset' }]);
    } finally {
      probe.remove();
    }
  } catch (error) {
    return `no network of our own here: ${error instanceof Error ? error.message.split('\n')[0] : error}`;
  }
  return null;
}

/** Of runs that were killed: their process is no more. */
function removeLeftOvers(): void {
  for (const name of ip(['netns', 'list']).matchAll(/^lockstep-(\d+)-\S+/gm)) {
    if (!isAlive(Number(name[1]))) ip(['netns', 'del', name[0]]);
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

export class Network {
  readonly #hosts: readonly string[];
  readonly #router = `${mine}-router`;

  /** A router, and every host on a wire of its own to it. */
  constructor(hosts: readonly string[]) {
    this.#hosts = hosts;
    removeLeftOvers();
    try {
      ip(['netns', 'add', this.#router]);
      ip(['netns', 'exec', this.#router, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward']);
      hosts.forEach((host, i) => {
        const name = `${mine}-${host}`;
        const wire = `wire${i}`;
        ip(['netns', 'add', name]);
        const batch = [
          `link add ${wire} netns ${this.#router} type veth peer name eth0 netns ${name}`,
          `-n ${this.#router} address add ${this.#gateway(host)}/24 dev ${wire}`,
          `-n ${this.#router} link set ${wire} up`,
          `-n ${name} address add ${this.address(host)}/24 dev eth0`,
          `-n ${name} link set lo up`,
          `-n ${name} link set eth0 up`,
          `-n ${name} route add default via ${this.#gateway(host)}`,
        ];
        for (const line of batch) ip(line.split(' '));
      });
    } catch (error) {
      this.remove();
      throw error;
    }
  }

  address(host: string): string {
    return `10.213.${this.#hosts.indexOf(host)}.2`;
  }

  /** What comes before a command line that is to run there. */
  inside(host: string): readonly string[] {
    return ['ip', 'netns', 'exec', `${mine}-${host}`];
  }

  /** From now on these and no others, all at one moment; none: all is well. */
  cut(cuts: readonly Cut[]): void {
    const rules = cuts.map(({ from, to, how }) => {
      const between = [from && `-s ${this.address(from)}`, to && `-d ${this.address(to)}`].filter(Boolean);
      const target = how === 'drop' ? 'DROP' : 'REJECT --reject-with tcp-reset';
      return ['-A FORWARD', ...between, '-p tcp', `-j ${target}`].join(' ');
    });
    const table = ['*filter', ':FORWARD ACCEPT [0:0]', ...rules, 'COMMIT', ''];
    ip(['netns', 'exec', this.#router, 'iptables-restore'], table.join('\n'));
  }

  /** What is left of it, too. Processes inside must have ended. */
  remove(): void {
    const there = ip(['netns', 'list']);
    for (const host of ['router', ...this.#hosts]) {
      const name = `${mine}-${host}`;
      if (there.split(/\s+/).includes(name)) ip(['netns', 'del', name]);
    }
  }

  /** Names of namespaces of this process that exist. */
  static left(): string[] {
    return ip(['netns', 'list'])
      .split('\n')
      .filter((line) => line.startsWith(`${mine}-`));
  }

  #gateway(host: string): string {
    return `10.213.${this.#hosts.indexOf(host)}.1`;
  }
}

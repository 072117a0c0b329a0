// For end-to-end tests: a real worker process whose tensors to its peers are spoiled on the way out, well sealed, or that computes
// wrongly. Everything else about it is as honest as can be.

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { lockstep, type Outcome, type RunSettings, repositoryRoot } from './command-line.ts';

export interface Spoiling {
  /** The step in which it begins. */
  readonly step: number;
  /** Which tensors. */
  readonly type: 'partial' | 'sum' | 'exchange' | 'shardReport';
  /**
   * Body of a function of (head, data: Uint8Array, send(head, data)): calls `send` for what is to leave in their place. `floats`
   * is a view of the data.
   */
  readonly spoil: string;
}

const module = (file: string): string =>
  JSON.stringify(pathToFileURL(join(repositoryRoot, 'dist', file)).href);

function spoiled({ step, type, spoil }: Spoiling): string {
  return `
    import { Connection } from ${module('proto/transport/connection.js')};
    const sendTensor = Connection.prototype.sendTensor;
    Connection.prototype.sendTensor = function (head, parts, onLeft) {
      if (head.type !== ${JSON.stringify(type)} || head.step < ${step}) return sendTensor.call(this, head, parts, onLeft);
      const data = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
      let at = 0;
      for (const part of parts) { data.set(part, at); at += part.length; }
      const floats = new Float32Array(data.buffer);
      const send = (head, data) => sendTensor.call(this, head, [data]);
      ((head, data, floats, send) => { ${spoil} })(head, data, floats, send);
      onLeft?.();
      return true;
    };`;
}

/** Whatever it computes, a weight comes out a little wrong. */
const broken = `
  import { LanePool } from ${module('worker/lanes/lane-pool.js')};
  for (const name of ['run', 'runAlone']) {
    const right = LanePool.prototype[name];
    LanePool.prototype[name] = async function (...args) {
      const result = await right.apply(this, args);
      this.memory.parameters[0] += 2 ** -10;
      return result;
    };
  }`;

/** What runs in place of the command line: the same worker, from the modules that tsc wrote, one of them changed. */
function programOf(joinUrl: string, change: string): string {
  return `
    ${change}
    import { Token } from ${module('proto/transport/token.js')};
    import { joinRun } from ${module('worker/run.js')};
    const never = { onStop: () => undefined };
    const options = { waitMs: 0, threads: 1, backend: undefined, listen: { host: '127.0.0.1', port: 0 }, insecure: false };
    try {
      const token = Token.read({ environment: process.env });
      await joinRun({ ...options, joinUrl: ${JSON.stringify(joinUrl)}, token, signal: never, onNotice: console.error });
    } catch (error) {
      console.error('error: ' + error.message);
      process.exitCode = error.exitCode;
    }`;
}

export function hostileWorker(joinUrl: string, settings: RunSettings, spoiling: Spoiling): Promise<Outcome> {
  return changedWorker(joinUrl, settings, spoiled(spoiling));
}

/** One whose machine computes wrongly. */
export function brokenWorker(joinUrl: string, settings: RunSettings): Promise<Outcome> {
  return changedWorker(joinUrl, settings, broken);
}

function changedWorker(joinUrl: string, settings: RunSettings, change: string): Promise<Outcome> {
  const command = [process.execPath, '--input-type=module', '-e', programOf(joinUrl, change)] as const;
  return lockstep([], { ...settings, command });
}

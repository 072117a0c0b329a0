// For end-to-end tests: a real worker process whose tensors to its peers are spoiled on the way out, well sealed. Everything
// else about it is as honest as can be.

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

/** A module that Node.js loads ahead of the worker. */
function preload({ step, type, spoil }: Spoiling): string {
  const connection = pathToFileURL(join(repositoryRoot, 'dist/proto/transport/connection.js')).href;
  const source = `
    import { Connection } from ${JSON.stringify(connection)};
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
  return `data:text/javascript,${encodeURIComponent(source)}`;
}

export function hostileWorker(
  args: readonly string[],
  settings: RunSettings,
  spoiling: Spoiling,
): Promise<Outcome> {
  const entry = join(repositoryRoot, 'dist', 'deploy', 'cli', 'main.js');
  const command = [process.execPath, '--import', preload(spoiling), entry] as const;
  return lockstep(['worker', ...args], { ...settings, command });
}

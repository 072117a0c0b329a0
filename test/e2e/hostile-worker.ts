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

/** What runs in place of the command line: the same worker, from the modules that tsc wrote, one of them spoiled. */
function programOf(joinUrl: string, { step, type, spoil }: Spoiling): string {
  const module = (file: string): string =>
    JSON.stringify(pathToFileURL(join(repositoryRoot, 'dist', file)).href);
  return `
    import { Connection } from ${module('proto/transport/connection.js')};
    import { Token } from ${module('proto/transport/token.js')};
    import { joinRun } from ${module('worker/run.js')};
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
    };
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
  const command = [process.execPath, '--input-type=module', '-e', programOf(joinUrl, spoiling)] as const;
  return lockstep([], { ...settings, command });
}

// Many workers in one process, each by the function behind `lockstep worker`. Usage: worker-host.mjs URL COUNT, the token in
// LOCKSTEP_TOKEN. Prints a line of JSON when all have come to their end; exit code 1 if one failed.

import { Token } from '../../dist/proto/transport/token.js';
import { joinRun } from '../../dist/worker/run.js';

const [joinUrl, count] = process.argv.slice(2);
const token = Token.read({ environment: process.env });
const signal = { stopRequested: false, onStop: () => undefined };

const join = () =>
  joinRun({
    joinUrl,
    token,
    threads: 1,
    backend: undefined,
    listen: { host: '127.0.0.1', port: 0 },
    insecure: false,
    signal,
    onNotice: (line) => console.error(line),
  });
const outcomes = await Promise.allSettled(Array.from({ length: Number(count) }, join));
const failures = outcomes.filter(({ status }) => status === 'rejected').map(({ reason }) => reason.message);
console.log(JSON.stringify({ steps: outcomes.map(({ value }) => value?.steps ?? null), failures }));
process.exit(failures.length === 0 ? 0 : 1);

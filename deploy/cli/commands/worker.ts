// `lockstep worker`: joins a coordinator and computes shards until the run is over. `lockstep train` starts these too.

import { Command, Option } from 'commander';
import type { RunEvent } from '../../../src/engine/events.ts';
import { LockstepError } from '../../../src/errors.ts';
import type { BackendName } from '../../../src/kernels/backend.ts';
import { printable } from '../../../src/platform/printable.ts';
import { followParent } from '../../launch/local-workers.ts';
import { checkExposure, checkJoin } from '../check-run.ts';
import type { Context } from '../context.ts';
import { readToken } from '../load-run.ts';
import {
  address,
  backendOption,
  dialledAddress,
  insecureOption,
  integer,
  joinUrl,
  threadsOption,
  tokenFileOption,
} from '../options.ts';
import { formatEvent } from '../progress/format.ts';
import type { Address } from '../run-api.ts';
import { ProcessStopSignal } from '../stop-signal.ts';
import { addTlsOptions, readTls, type TlsOptions } from '../tls-files.ts';

interface WorkerCommandOptions extends TlsOptions {
  readonly join: string;
  readonly wait: number;
  readonly listen: Address;
  readonly advertise?: Address;
  readonly threads?: number;
  readonly backend?: BackendName;
  readonly tokenFile?: string;
  readonly insecure?: boolean;
}

const waitSecondsMax = 86_400;
const defaultListen: Address = { host: '127.0.0.1', port: 0 };
const examples = `
Examples:
  $ lockstep worker --join ws://127.0.0.1:7070 --token-file runs/a/token
  $ lockstep worker --join ws://10.0.0.1:7070 --listen 0.0.0.0:7071 --advertise 192.0.2.8:30071 --insecure
  $ LOCKSTEP_TOKEN=... lockstep worker --join wss://10.0.0.1:7070 --listen 10.0.0.2:7071 --tls-ca ca.pem --tls-cert cert.pem --tls-key key.pem`;

export function workerCommand(context: Context): Command {
  const command = new Command('worker')
    .summary('join a coordinator and compute')
    .description(
      'Joins the coordinator at URL, takes config and data from it, and computes shards until the run is over.',
    )
    .addOption(
      new Option('--join <url>', 'the coordinator, as it prints it: ws://HOST:PORT or wss://HOST:PORT')
        .argParser(joinUrl)
        .makeOptionMandatory(),
    )
    .addOption(
      new Option(
        '--listen <host:port>',
        'address at which the other workers reach this one; port 0: any free one',
      )
        .argParser(address)
        .default(defaultListen, '127.0.0.1:0'),
    )
    .addOption(
      new Option(
        '--advertise <host:port>',
        'address the other workers are told, where it is not the one listened at: behind NAT, in a container; ' +
          'HOST alone: with the port listened at',
      ).argParser(dialledAddress),
    )
    .addOption(
      new Option(
        '--wait <seconds>',
        'how long to wait for a coordinator that is not there yet; 0: not at all',
      )
        .argParser(integer(0, waitSecondsMax))
        .default(30),
    )
    .addOption(threadsOption())
    .addOption(backendOption())
    .addOption(tokenFileOption())
    .addOption(insecureOption());
  return addTlsOptions(command, {
    cert: 'of this worker: shown to the coordinator, and used among the workers',
    ca: "that the coordinator and the workers must be certified by (default: the system's)",
  })
    .addHelpText('after', examples)
    .action((options: WorkerCommandOptions) => work(context, options));
}

async function work(context: Context, options: WorkerCommandOptions): Promise<void> {
  const insecure = options.insecure === true;
  const tls = readTls(options);
  checkExposure(options.listen, insecure, tls?.cert !== undefined);
  if (options.advertise !== undefined) checkExposure(options.advertise, insecure, tls?.cert !== undefined);
  checkJoin(options.join, insecure, tls !== undefined);
  const token = readToken(options.tokenFile);
  const log = (line: string): void => void context.stderr.write(`${printable(line)}\n`);
  const spawned = followParent(() => process.exit(0));
  const signal = spawned
    ? null
    : new ProcessStopSignal(() => log('leaving after the step in flight; once more to exit at once'));
  const joining = context.api.runWorker({
    joinUrl: options.join,
    token,
    waitMs: options.wait * 1_000,
    threads: options.threads ?? context.cores,
    backend: options.backend,
    listen: options.listen,
    advertise: options.advertise,
    tls,
    insecure,
    signal: signal ?? neverStopped,
    onEvent: (event) => show(event, log),
    // A worker of `lockstep train` is silent where all is well: its parent shows the run.
    onConnected: spawned
      ? undefined
      : (workerId) => log(`connected to ${options.join} as worker ${workerId}`),
  });
  try {
    const { stoppedAt } = await joining;
    const end =
      stoppedAt === null ? 'the run is over' : `the run was stopped at step ${stoppedAt} by its coordinator`;
    if (signal !== null) log(signal.exitCode === null ? end : 'left the run');
  } catch (error) {
    // Asked to end before there was anything to leave: that is what was wanted, not a failure.
    const isWanted = error instanceof LockstepError && error.code === 'LOCKSTEP_STOPPED';
    if (!isWanted || signal === null || signal.exitCode === null) throw error;
    log(error.message);
  } finally {
    signal?.dispose();
  }
  if (signal !== null && signal.exitCode !== null) context.setExitCode(signal.exitCode);
}

/** The parent leads: its Ctrl-C reaches the worker as the end of the run. */
const neverStopped = { stopRequested: false, onStop: () => undefined };

function show(event: RunEvent, log: (line: string) => void): void {
  const line = formatEvent(event);
  if (line !== null) log(line);
}

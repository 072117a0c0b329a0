// A worker from its first line to its last (I/O): over a socket, or as the only one inside of the coordinator's process.

import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Link } from '../proto/transport/link.ts';
import type { TlsIdentity } from '../proto/transport/tls.ts';
import type { Token } from '../proto/transport/token.ts';
import type { Dataset } from '../src/data/dataset.ts';
import type { StopSignal } from '../src/engine/events.ts';
import type { BackendName } from '../src/kernels/backend.ts';
import { chooseBackend, helloOf } from './choose-backend.ts';
import { coordinatorAwayMs, type Door, dialAgain, dialFirst, dialOnceMore } from './dial.ts';
import { PeerListener } from './peer-listener.ts';
import { type WorkerOutcome, WorkerSession } from './session.ts';

export interface JoinOptions {
  /** ws://HOST:PORT of the coordinator, or wss:// where it speaks TLS. */
  readonly joinUrl: string;
  readonly token: Token;
  /** How long a coordinator that is not there yet is waited for, in milliseconds. */
  readonly waitMs: number;
  readonly threads: number;
  readonly backend: BackendName | undefined;
  /** Where other workers reach this one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** The address they are told, where it is another one (behind NAT, in a container); port 0: the one listened at. */
  readonly advertise?: { readonly host: string; readonly port: number } | undefined;
  readonly insecure: boolean;
  /** With cert and key the worker's own listener speaks TLS too, and so must those of all its peers. */
  readonly tls?: TlsIdentity | undefined;
  readonly signal: StopSignal;
  readonly onNotice: (message: string) => void;
  /** The coordinator answered, at first and whenever it had been away. */
  readonly onConnected?: ((workerId: string) => void) | undefined;
}

export interface JoinResult extends WorkerOutcome {
  readonly workerId: string;
}

/** Short, and unlike any other's: the host's name and some random digits. */
function newWorkerId(): string {
  const host =
    hostname()
      .replace(/[^A-Za-z0-9.-]/g, '')
      .slice(0, 40) || 'worker';
  return `${host}-${randomBytes(3).toString('hex')}`;
}

/** What the hello tells. Any address is no address: peers then use the one the coordinator sees. */
function announced(
  { listen, advertise }: JoinOptions,
  listenerPort: number,
): { readonly peerHost: string; readonly peerPort: number } {
  if (advertise !== undefined) return { peerHost: advertise.host, peerPort: advertise.port || listenerPort };
  const isAny = ['0.0.0.0', '::', '[::]'].includes(listen.host);
  return { peerHost: isAny ? '' : listen.host, peerPort: listenerPort };
}

/** Joins a coordinator and computes until the run is over. Throws LockstepError. */
export async function joinRun(options: JoinOptions): Promise<JoinResult> {
  const { token, threads, listen, insecure, tls, signal, onNotice } = options;
  const door: Door = { url: new URL(options.joinUrl), token, tls, insecure };
  const backend = chooseBackend(options.backend);
  if (backend.notice !== null) onNotice(backend.notice);
  const checksum = backend.backend.bytes?.checksum;
  const listener = await PeerListener.open({ ...listen, token, insecure, tls, checksum, threads });
  try {
    const workerId = newWorkerId();
    const peer = announced(options, listener.port);
    const ending = new AbortController();
    signal.onStop(() => ending.abort());
    const giveUpMs = performance.now() + options.waitMs;
    const link = await dialFirst(door, {
      waitMs: options.waitMs,
      ending: ending.signal,
      onWait: (why) => {
        const stop = why.endsWith('?') ? '' : '.';
        onNotice(`${why}${stop} It is waited for, for up to ${options.waitMs / 1_000} seconds`);
      },
    });
    options.onConnected?.(workerId);
    let toldRefusal: string | null = null;
    const session = new WorkerSession({
      link,
      redial: async (ending, { welcomed, refusal }) => {
        if (refusal !== null) {
          const address = `${peer.peerHost || 'the address it comes from'}, port ${peer.peerPort}`;
          const told = `the coordinator refused this worker for now: ${refusal} (they dial ${address}: --listen, --advertise)`;
          if (refusal !== toldRefusal) onNotice(told);
          toldRefusal = refusal;
          return dialAgain(door, ending);
        }
        if (!welcomed) {
          onNotice('the connection broke before the coordinator answered');
          return dialOnceMore(door, giveUpMs, ending);
        }
        onNotice(
          `the coordinator is gone; it is looked for again for up to ${coordinatorAwayMs / 60_000} minutes`,
        );
        const again = await dialAgain(door, ending);
        options.onConnected?.(workerId);
        return again;
      },
      hello: helloOf(backend, { workerId, threads, ...peer }),
      backend,
      threads,
      network: { listener, token, tls, insecure, checksum },
      dataset: null,
    });
    signal.onStop(() => session.stop());
    return { workerId, ...(await session.run()) };
  } finally {
    await listener.close();
  }
}

/** The only worker of a run, in this process, over a link in memory. */
export async function runInProcess(options: {
  readonly link: Link<'worker'>;
  readonly threads: number;
  readonly backend: BackendName | undefined;
  readonly dataset: Dataset;
  readonly onNotice: (message: string) => void;
}): Promise<JoinResult> {
  const { link, threads, dataset, onNotice } = options;
  const backend = chooseBackend(options.backend);
  if (backend.notice !== null) onNotice(backend.notice);
  const workerId = 'local';
  const hello = helloOf(backend, { workerId, threads, peerHost: '', peerPort: 0 });
  const session = new WorkerSession({ link, hello, backend, threads, network: null, dataset, redial: null });
  return { workerId, ...(await session.run()) };
}

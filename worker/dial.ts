// A worker's way to its coordinator (I/O): one that is not there is dialled again for a while, at the start as well as later.
// So is anything at its address that does not prove to be the coordinator, whatever that answers: when a coordinator dies,
// any program may take its port. A refusal is final only from one that has the token.

import { setTimeout as sleep } from 'node:timers/promises';
import { ProtocolError, type ProtocolErrorCode } from '../proto/error.ts';
import { awayStatuses, connect } from '../proto/transport/client.ts';
import type { Link } from '../proto/transport/link.ts';
import type { TlsIdentity } from '../proto/transport/tls.ts';
import type { Token } from '../proto/transport/token.ts';
import { coordinatorPath } from '../proto/version.ts';
import { asLockstepError, LockstepError } from '../src/errors.ts';

/** The coordinator's address, and what opens it. */
export interface Door {
  readonly url: URL;
  readonly token: Token;
  readonly tls: TlsIdentity | undefined;
  /** The run may go over a network in clear. */
  readonly insecure: boolean;
}

/** For how long a worker goes on, or waits, without the coordinator it had, in milliseconds. */
export const coordinatorAwayMs = 600_000;

/** Between two attempts, in milliseconds: short at first, for a coordinator that is started again at once. */
const redialMs = { first: 50, most: 250, growth: 1.2 } as const;

/**
 * The first connection of a worker, for which it dials for `waitMs`; `onWait` is told why when it first waits.
 * @throws LockstepError LOCKSTEP_CONNECT_FAILED, LOCKSTEP_UNAUTHORIZED, LOCKSTEP_VERSION_MISMATCH; LOCKSTEP_STOPPED on `ending`
 */
export async function dialFirst(
  door: Door,
  {
    waitMs,
    ending,
    onWait,
  }: {
    readonly waitMs: number;
    readonly ending: AbortSignal;
    readonly onWait: (why: string) => void;
  },
): Promise<Link<'worker'>> {
  try {
    return await dialUntil(door, performance.now() + waitMs, ending, onWait);
  } catch (error) {
    if (!ending.aborted) throw error;
    throw new LockstepError('LOCKSTEP_STOPPED', 'stopped before the coordinator was there', { cause: error });
  }
}

/** The connection to a coordinator that was there before. @throws LockstepError */
export function dialAgain(door: Door, ending: AbortSignal): Promise<Link<'worker'>> {
  return dialUntil(door, performance.now() + coordinatorAwayMs, ending);
}

/**
 * After a connection that broke before the coordinator had answered: not at once, as the next one may break as well, and
 * until `giveUpMs`.
 * @throws LockstepError
 */
export async function dialOnceMore(
  door: Door,
  giveUpMs: number,
  ending: AbortSignal,
): Promise<Link<'worker'>> {
  if (performance.now() + redialMs.most > giveUpMs) {
    const told = `the connection to ${door.url.host} breaks before the coordinator answers: is there a proxy or a firewall between?`;
    throw new LockstepError('LOCKSTEP_CONNECT_FAILED', told);
  }
  await sleep(redialMs.most, undefined, { signal: ending });
  return dialUntil(door, giveUpMs, ending);
}

async function dialUntil(
  door: Door,
  giveUpMs: number,
  ending: AbortSignal,
  onWait: (why: string) => void = () => undefined,
): Promise<Link<'worker'>> {
  let told = false;
  for (let waitMs: number = redialMs.first; ; waitMs = Math.min(redialMs.most, waitMs * redialMs.growth)) {
    try {
      return await dial(door, ending);
    } catch (thrown) {
      const error = asLockstepError(thrown);
      if (isFinal(error) || ending.aborted || performance.now() + waitMs > giveUpMs) throw error;
      if (!told) onWait(error.message);
      told = true;
    }
    await sleep(waitMs, undefined, { signal: ending });
  }
}

/** The coordinator itself said so, or this worker may not dial there. */
function isFinal({ cause }: LockstepError): boolean {
  if (!(cause instanceof ProtocolError)) return true;
  return cause.code === 'refused' ? !awayStatuses.includes(cause.status) : !passingCodes.includes(cause.code);
}

const passingCodes: readonly ProtocolErrorCode[] = ['unreachable', 'timeout', 'unproved', 'certificate'];

const isReset = (cause: unknown): boolean =>
  cause instanceof ProtocolError && cause.code === 'unreachable' && cause.message.includes('ECONNRESET');

const isAway = ({ code, status }: ProtocolError): boolean =>
  code === 'unreachable' || (code === 'refused' && awayStatuses.includes(status));

async function dial({ url, token, tls, insecure }: Door, signal: AbortSignal): Promise<Link<'worker'>> {
  const port = Number(url.port || (url.protocol === 'wss:' ? 443 : 80));
  try {
    return await connect({
      local: 'worker',
      host: url.hostname,
      port,
      path: coordinatorPath,
      role: 'worker',
      token,
      tls: url.protocol === 'wss:' ? (tls ?? {}) : undefined,
      insecure,
      signal,
    });
  } catch (error) {
    if (isReset(error) && url.protocol === 'ws:') {
      const where = `${url.hostname}:${port}`;
      throw new LockstepError(
        'LOCKSTEP_CONNECT_FAILED',
        `${where} answered by a reset (ECONNRESET), not as a plain WebSocket: does it speak TLS? Then join wss://${where}`,
        { cause: error },
      );
    }
    if (error instanceof ProtocolError && isAway(error)) {
      throw new LockstepError(
        'LOCKSTEP_CONNECT_FAILED',
        `${error.message}: is the coordinator running, and is ${url.host} its address?`,
        { cause: error },
      );
    }
    throw asLockstepError(error);
  }
}

// What is told to several workers at once, as effects. Pure; to whom and when is the machine's.

import { type ErrorCode, errorCodes } from '../src/errors.ts';
import type { CoordinatorEffect, ToWorker } from './effects.ts';
import { keptOut } from './evidence.ts';
import type { Alignment } from './membership.ts';
import type { Worker } from './worker-record.ts';

export function sendTo(workers: readonly Worker[], message: ToWorker): CoordinatorEffect[] {
  return workers.map(({ connection }) => ({ do: 'send', connection, message }));
}

export function closeAll(workers: readonly Worker[]): CoordinatorEffect[] {
  return workers.map(({ connection }) => ({ do: 'close', connection }));
}

/** Tells all members where they go on, and brings the checkpoint to those who are to go on from it and have it not. */
export function sendAlignment(
  { step, origin, source, behind }: Alignment,
  members: readonly Worker[],
  generation: number,
  more: Pick<ToWorker & { type: 'align' }, 'evaluate' | 'snapshot' | 'verify'>,
): CoordinatorEffect[] {
  const told = sendTo(members, {
    type: 'align',
    generation,
    step,
    origin,
    source,
    behind: [...behind],
    ...more,
  });
  if (origin !== 'checkpoint') return told;
  const states = behind.map((rank): CoordinatorEffect => {
    const { connection } = members[rank]!;
    return { do: 'sendState', connection, generation, step };
  });
  return [...told, ...states];
}

/** Where in the run something failed. */
export interface FailedAt {
  readonly step?: number;
  readonly phase?: string;
}

/** The run ends with this error. */
export function sendFailure(
  workers: readonly Worker[],
  code: ErrorCode,
  message: string,
  at: FailedAt & { readonly generation: number },
): CoordinatorEffect[] {
  const text = message.slice(0, 2_000);
  return sendTo(workers, { type: 'failure', code, message: text, step: 0, phase: 'coordinator', ...at });
}

export function pausedText(reason: string, missing: number): string {
  return `${reason}; the run pauses until ${missing} more worker${missing > 1 ? 's' : ''} joined`;
}

/** `during`: what the run was at. */
export function stoppedText(during: string, checkpointStep: number | null): string {
  const stays = checkpointStep === null ? 'there is no checkpoint' : 'the newest checkpoint stays';
  return `stopped while ${during}; ${stays}`;
}

export function undecidedText(what: string, checkpointStep: number | null): string {
  const newest = checkpointStep === null ? 'its seed' : `the checkpoint of step ${checkpointStep}`;
  return `${what}. The run stands at ${newest}, on which all agreed: --resume with other machines`;
}

/** It is not let in; its connection ends. */
export function sendRefusal(worker: Worker, code: ErrorCode, message: string): CoordinatorEffect[] {
  const { connection, address } = worker;
  return [
    ...sendTo([worker], { type: 'refused', code, message }),
    { do: 'close', connection },
    { do: 'notice', message: `refused a worker at ${address}: ${message}` },
  ];
}

/** They do wrong for certain: their processes end, and may be started anew. */
export function sendKeptOut(workers: readonly Worker[], reason: string): CoordinatorEffect[] {
  return workers.flatMap((worker) =>
    sendTo([worker], { type: 'refused', ...keptOut(worker.hello!.workerId, reason) }),
  );
}

/** The code that a worker names, where there is such a code. */
export function knownCode(named: string): ErrorCode {
  return Object.hasOwn(errorCodes, named) ? (named as ErrorCode) : 'LOCKSTEP_WORKER_FAILED';
}

export function cannotReach(by: Worker, suspected: Worker, why: string): string {
  return `worker ${by.hello!.workerId} cannot reach worker ${suspected.hello!.workerId}: ${why}`;
}

// A worker's failure in words. Pure.

import type { ErrorCode } from '../src/errors.ts';
import type { FromWorker } from './effects.ts';
import { knownCode } from './tell.ts';
import type { Worker } from './worker-record.ts';

type Failure = Extract<FromWorker, { type: 'failure' }>;

/** As the error of the run. */
export function failureOf(
  { hello }: Worker,
  failure: Failure,
): { readonly code: ErrorCode; readonly message: string } {
  const message = `worker ${hello!.workerId} failed ${whatFailed(failure)}`;
  return { code: knownCode(failure.code), message };
}

export function whatFailed({ step, phase, message }: Failure): string {
  return `${step > 0 ? `in step ${step}, ` : ''}${phase}: ${message}`;
}

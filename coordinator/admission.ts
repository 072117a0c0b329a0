// Who is let into a run: version, run and numerics of a hello against the run's. Pure.

import type { MessageOf } from '../proto/messages.ts';
import type { ErrorCode } from '../src/errors.ts';
import type { Numerics } from './run-identity.ts';

export interface AdmissionFacts {
  readonly runId: string;
  readonly packageVersion: string;
  readonly protocolVersion: number;
  /** Of the checkpoint that is gone on from. */
  readonly fingerprint: string | null;
  /** Of the run's first membership, from the journal. */
  readonly numerics: Numerics | null;
}

type Hello = MessageOf<'hello'>;

export interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
}

/** Why this worker is not let in, or null. `first`: of the run's first membership; before that, of a worker that is here already. */
export function refusalOf(hello: Hello, facts: AdmissionFacts, first: Numerics | null): Refusal | null {
  if (hello.protocolVersion !== facts.protocolVersion || hello.packageVersion !== facts.packageVersion) {
    return {
      code: 'LOCKSTEP_VERSION_MISMATCH',
      message:
        `this worker is version ${hello.packageVersion} (protocol ${hello.protocolVersion}), the coordinator ` +
        `${facts.packageVersion} (protocol ${facts.protocolVersion}); install the same version on both`,
    };
  }
  if (hello.runId === '' && hello.generation > 0) {
    const message = `it comes with generation ${hello.generation} of no run`;
    return { code: 'LOCKSTEP_PROTOCOL', message };
  }
  if (hello.runId !== '' && hello.runId !== facts.runId) {
    const message =
      'this worker belongs to another run, or the journal of this one was deleted meanwhile; start it anew: it goes on from ' +
      'the newest checkpoint';
    return { code: 'LOCKSTEP_USAGE', message };
  }
  const mismatch = fingerprintMismatch(hello, facts, first);
  return mismatch === null ? null : { code: 'LOCKSTEP_FINGERPRINT_MISMATCH', message: mismatch };
}

/** One line that names what differs, or null. */
function fingerprintMismatch(hello: Hello, facts: AdmissionFacts, first: Numerics | null): string | null {
  const expected = facts.fingerprint ?? first?.fingerprint;
  if (expected === undefined || expected === hello.fingerprint) return null;
  const mine = `${hello.backend} ${hello.variant}`;
  if (first === null) {
    return `numerics fingerprint of ${mine} is ${hello.fingerprint.slice(0, 12)}, but the checkpoint was made with ${expected.slice(0, 12)}; use the backend it was made with`;
  }
  const different = Object.keys(hello.kernelHashes).filter(
    (kernel) => hello.kernelHashes[kernel] !== first.kernelHashes[kernel],
  );
  const named =
    different.slice(0, 3).join(', ') + (different.length > 3 ? ` and ${different.length - 3} more` : '');
  return `numerics fingerprint of ${mine} differs from the run's ${first.backend} ${first.variant} in ${named || 'the list of kernels'}; give all workers the same --backend`;
}

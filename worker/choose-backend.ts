// The kernels of this process and their fingerprint, as a hello tells them. (I/O: loads the addon or the wasm.)

import { createHash } from 'node:crypto';
import type { MessageOf } from '../proto/messages.ts';
import { protocolVersion } from '../proto/version.ts';
import type { Backend, BackendName } from '../src/kernels/backend.ts';
import { numericsFingerprint } from '../src/kernels/fingerprint.ts';
import { selectBackend } from '../src/kernels/select.ts';
import { packageVersion } from '../src/platform/package-root.ts';

export interface ChosenBackend {
  readonly backend: Backend;
  readonly name: BackendName;
  readonly variant: string;
  readonly fingerprint: string;
  readonly kernelHashes: Readonly<Record<string, string>>;
  /** One line where it is not the backend one would expect. */
  readonly notice: string | null;
}

/** Throws LOCKSTEP_BACKEND_UNAVAILABLE. */
export function chooseBackend(name: BackendName | undefined): ChosenBackend {
  const { backend, notice } = selectBackend(name);
  const { fingerprint, kernels } = numericsFingerprint(backend, () => createHash('sha256'));
  return {
    backend,
    name: backend.name,
    variant: backend.variant,
    fingerprint,
    kernelHashes: kernels,
    notice,
  };
}

export function helloOf(
  backend: ChosenBackend,
  worker: {
    readonly workerId: string;
    readonly threads: number;
    readonly peerHost: string;
    readonly peerPort: number;
  },
): Omit<MessageOf<'hello'>, 'runId' | 'generation' | 'nameSecret'> {
  const { fingerprint, kernelHashes, name, variant } = backend;
  return {
    type: 'hello',
    protocolVersion,
    packageVersion: packageVersion(),
    fingerprint,
    kernelHashes: { ...kernelHashes },
    backend: name,
    variant,
    ...worker,
  };
}

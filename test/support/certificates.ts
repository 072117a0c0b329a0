// Certificates for tests (I/O): made by the machine's openssl in a directory of the test, so that none is kept here.

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Why there can be none, or null. */
export function missingOpenssl(): string | null {
  try {
    execFileSync('openssl', ['version'], { stdio: 'pipe' });
    return null;
  } catch {
    return 'there is no openssl on this machine';
  }
}

export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/** An authority named `name`: NAME-ca.pem and its key. */
export function makeAuthority(directory: string, name: string): CertificateFiles {
  const cert = join(directory, `${name}-ca.pem`);
  const key = join(directory, `${name}-ca.key`);
  openssl(['req', '-x509', ...newKey, '-days', '2', '-subj', `/CN=${name}`, '-keyout', key, '-out', cert]);
  return { cert, key };
}

/** A certificate for `names` (as of subjectAltName: IP:127.0.0.1, DNS:...) by that authority; it may serve and dial. */
export function makeCertificate(
  directory: string,
  name: string,
  names: string,
  authority: CertificateFiles,
): CertificateFiles {
  const path = (ending: string): string => join(directory, `${name}.${ending}`);
  writeFileSync(path('ext'), `subjectAltName=${names}\n`);
  openssl(['req', ...newKey, '-subj', `/CN=${name}`, '-keyout', path('key'), '-out', path('csr')]);
  openssl([
    ...['x509', '-req', '-in', path('csr'), '-days', '2', '-CA', authority.cert, '-CAkey', authority.key],
    ...['-CAcreateserial', '-extfile', path('ext'), '-out', path('pem')],
  ]);
  return { cert: path('pem'), key: path('key') };
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

function openssl(args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' });
}

// What a process shows of itself over TLS and whom it believes, and what went wrong in words. The texts of the
// files are given. Checking a certificate against the other end's name is the runtime's.

/** PEM texts. A listener needs cert and key; one that dials shows them where it has them. */
export interface TlsIdentity {
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** Authority to believe instead of the system's; a listener that has one lets in only who shows a certificate of it. */
  readonly ca?: string | undefined;
}

/** What a listener needs, or undefined where this identity cannot listen. */
export function listenerTls(
  identity: TlsIdentity | undefined,
): { readonly cert: string; readonly key: string; readonly ca?: string } | undefined {
  if (identity?.cert === undefined || identity.key === undefined) return undefined;
  const { cert, key, ca } = identity;
  return { cert, key, ...(ca === undefined ? {} : { ca }) };
}

const unknownAuthority =
  'its certificate is not of an authority that is known here: name its authority by --tls-ca';

const problems: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: unknownAuthority,
  SELF_SIGNED_CERT_IN_CHAIN: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: unknownAuthority,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: unknownAuthority,
  CERT_SIGNATURE_FAILURE: unknownAuthority,
  ERR_TLS_CERT_ALTNAME_INVALID:
    'its certificate is for another name: dial it by a name that the certificate has',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet: is the clock right?',
};

/** Why dialling failed, where the reason is TLS or the want of it; null: something else. */
export function tlsProblem(
  { code = '', message }: { readonly code?: string | undefined; readonly message: string },
  identity: TlsIdentity | undefined,
): string | null {
  if (identity === undefined)
    return code.startsWith('HPE_') ? 'it does not answer in HTTP: does it speak TLS, by wss://?' : null;
  const known = problems[code];
  if (known !== undefined) return known;
  if (/wrong version number|packet length too long/i.test(message))
    return 'it does not speak TLS there: use ws://, or give it --tls-cert and --tls-key';
  return code.startsWith('ERR_SSL_') || code === 'EPROTO' ? `TLS failed (${code})` : null;
}

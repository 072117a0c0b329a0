// --tls-cert, --tls-key and --tls-ca: options, and the files behind them (I/O), read and held against each other before
// anything is started.

import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { type Command, Option } from 'commander';
import type { TlsIdentity } from '../../proto/transport/tls.ts';
import { LockstepError } from '../../src/errors.ts';
import { path } from './options.ts';

export interface TlsOptions {
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsCa?: string;
}

export function addTlsOptions(
  command: Command,
  meaning: { readonly cert: string; readonly ca: string },
): Command {
  return command
    .addOption(new Option('--tls-cert <file>', `certificate (PEM) ${meaning.cert}`).argParser(path))
    .addOption(new Option('--tls-key <file>', 'its private key (PEM)').argParser(path))
    .addOption(new Option('--tls-ca <file>', `authority (PEM) ${meaning.ca}`).argParser(path));
}

/** Undefined where none of them is given. Throws LOCKSTEP_USAGE naming the option and what is wrong with its file. */
export function readTls({ tlsCert, tlsKey, tlsCa }: TlsOptions): TlsIdentity | undefined {
  if (tlsCert === undefined && tlsKey === undefined && tlsCa === undefined) return undefined;
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    throw new LockstepError('LOCKSTEP_USAGE', '--tls-cert and --tls-key belong together: give both');
  const cert = readPem('--tls-cert', tlsCert, 'CERTIFICATE');
  const key = readPem('--tls-key', tlsKey, 'PRIVATE KEY');
  const ca = readPem('--tls-ca', tlsCa, 'CERTIFICATE');
  try {
    createSecureContext({ cert, key, ca });
  } catch (cause) {
    const { code = 'unreadable' } = cause as NodeJS.ErrnoException;
    const what = `${tlsCert ?? tlsCa}${tlsKey === undefined ? '' : ` and ${tlsKey}`}`;
    const why =
      code === 'ERR_OSSL_X509_KEY_VALUES_MISMATCH'
        ? 'the key is not that of the certificate'
        : `cannot be used (${code})`;
    throw new LockstepError('LOCKSTEP_USAGE', `${what}: ${why}`, { cause });
  }
  return { cert, key, ca };
}

function readPem(option: string, file: string | undefined, label: string): string | undefined {
  if (file === undefined) return undefined;
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such file' : `cannot be read (${code})`;
    throw new LockstepError('LOCKSTEP_USAGE', `${option} ${file}: ${why}`, { cause });
  }
  if (!new RegExp(`-----BEGIN [A-Z ]*${label}-----`).test(text))
    throw new LockstepError('LOCKSTEP_USAGE', `${option} ${file}: there is no PEM block "${label}" in it`);
  return text;
}

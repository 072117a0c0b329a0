// What a token file may hold, and what is said of one that cannot be used: never what is in it.

import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { readToken } from '../../../../deploy/cli/load-run.ts';
import { LockstepError } from '../../../../src/errors.ts';

const root = mkdtempSync(join(tmpdir(), 'lockstep-token-'));
const file = join(root, 'token');
const token = 'c0ffee00'.repeat(8);
afterAll(() => rmSync(root, { recursive: true }));
afterEach(() => vi.unstubAllEnvs());

describe('a token file', () => {
  it.each([token, `\r\n ${token}\n\n`, token.toUpperCase()])('is taken with white space: %j', (text) => {
    writeFileSync(file, text, { mode: 0o600 });
    expect(readToken(file)).toBe(text.trim());
  });

  it.skipIf(process.platform === 'win32')('that others may read is refused, with the remedy', () => {
    const open = join(root, 'open');
    writeFileSync(open, token);
    for (const mode of [0o644, 0o640, 0o604, 0o660, 0o601]) {
      chmodSync(open, mode);
      const bits = mode.toString(8);
      expect(() => readToken(open)).toThrow(
        `--token-file ${open}: other users may read this token (mode ${bits}, not 600): if none did, chmod 600 the file`,
      );
    }
    for (const mode of [0o600, 0o400]) {
      chmodSync(open, mode);
      expect(readToken(open)).toBe(token);
    }
  });

  it.skipIf(process.getuid?.() !== 0)(
    "of another user is that user's to keep, as secrets of containers are",
    () => {
      const secret = join(root, 'secret');
      writeFileSync(secret, token, { mode: 0o444 });
      chownSync(secret, 12_345, 12_345);
      expect(readToken(secret)).toBe(token);
    },
  );

  it.each([
    ['empty', ' \n', 'the file is empty'],
    ['too short', token.slice(1), /64 hexadecimal digits, but this has 63 of them; make one with: openssl/],
    ['too long', `${token}0`, /but this has 65 of them/],
    ['two lines', `${token}\n${token}`, /but this has other characters/],
    ['binary', Uint8Array.from({ length: 64 }, (_, i) => 255 - i), /but this has other characters/],
  ])('that is %s is refused', (_, content, says) => {
    writeFileSync(file, content);
    expect(() => readToken(file)).toThrow(says);
  });

  it('that is no file is refused', () => {
    mkdirSync(join(root, 'folder'));
    expect(() => readToken(join(root, 'folder'))).toThrow(/folder: is a directory; name the file/);
    expect(() => readToken(join(root, 'none'))).toThrow(/none: there is no such file/);
    expect(() => readToken(join(file, 'below'))).toThrow(/below: cannot be read \(ENOTDIR\)/);
    expect(() => readToken('/dev/zero')).toThrow(/but this has other characters/);
  });
});

it('a token of the environment is held to the same', () => {
  vi.stubEnv('LOCKSTEP_TOKEN', '');
  expect(readToken(undefined)).toBe(undefined);
  vi.stubEnv('LOCKSTEP_TOKEN', token);
  expect(readToken(undefined)).toBe(token);
  vi.stubEnv('LOCKSTEP_TOKEN', token.slice(1));
  expect(() => readToken(undefined)).toThrow(LockstepError);
  expect(() => readToken(undefined)).toThrow(/^LOCKSTEP_TOKEN: a token is 64 hexadecimal digits/);
});

// What a token file may hold, and what is said of one that cannot be used: never what is in it.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
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
    writeFileSync(file, text);
    expect(readToken(file)).toBe(text.trim());
  });

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

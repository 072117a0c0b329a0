// The command that is advised runs where the message is read.

import { join } from 'node:path';
import { expect, it } from 'vitest';
import { nativeBuildCommand, restoreAdvice } from '../../../src/platform/build-command.ts';

it.each([
  [
    join('/', 'home', 'me', 'app', 'node_modules', 'lockstep'),
    'npm rebuild lockstep',
    'install the package again',
  ],
  [join('/', 'home', 'me', 'lockstep'), 'npm run build:native', 'build it: npm run build'],
  [join('/', 'node_modules', 'x', 'lockstep'), 'npm run build:native', 'build it: npm run build'],
])('of a package in %s', (root, native, restore) => {
  expect(nativeBuildCommand(root)).toBe(native);
  expect(restoreAdvice(root)).toBe(restore);
});

it('of this checkout', () => {
  expect(nativeBuildCommand()).toBe('npm run build:native');
});

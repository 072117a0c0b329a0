// What messages advise where a part of this package is missing. A checkout has its own scripts; where the package
// is installed, `npm run` would look for them in the user's package. Pure.

import { basename, dirname } from 'node:path';
import { packageRoot } from './package-root.ts';

const isInstalled = (root: string): boolean => basename(dirname(root)) === 'node_modules';

/** Builds the native addon, where there is a C compiler. */
export function nativeBuildCommand(root = packageRoot()): string {
  return isInstalled(root) ? 'npm rebuild lockstep' : 'npm run build:native';
}

/** How to get a compiled file that is missing. */
export function restoreAdvice(root = packageRoot()): string {
  return isInstalled(root) ? 'install the package again' : 'build it: npm run build';
}

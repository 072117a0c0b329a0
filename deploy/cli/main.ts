#!/usr/bin/env node
// Entry of the command line (I/O): the command line itself is command-line.ts, which Node, from 22.1 on, keeps compiled
// beside the package where it may write there.

import * as nodeModule from 'node:module';
import { join } from 'node:path';
import { packageRoot } from '../../src/platform/package-root.ts';

const { enableCompileCache } = nodeModule as { enableCompileCache?: (directory: string) => unknown };
enableCompileCache?.(join(packageRoot(), 'build', 'compile-cache'));
await import('./command-line.ts');

// Which file was meant by a path that does not exist (I/O: lists directories).

import { readdirSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { nearestWord } from '../../src/config/nearest.ts';
import { packageRoot } from '../../src/platform/package-root.ts';

/** The path of a similar file next to `path`, in the working directory, in ./examples or in the package's examples. */
export function nearFile(path: string, extension: string): string | null {
  const directories = [dirname(path), '.', 'examples', join(packageRoot(), 'examples')];
  for (const directory of directories) {
    const names = filesIn(directory).filter((name) => name.endsWith(extension));
    const meant = nearestWord(basename(path), names) ?? names.find((name) => name.startsWith(basename(path)));
    if (meant !== undefined) return relative('.', join(directory, meant));
  }
  return null;
}

function filesIn(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
}

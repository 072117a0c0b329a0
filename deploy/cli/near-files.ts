// Which file was meant by a path that does not exist (I/O: lists directories).

import { readdirSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { editDistance, nearestWord } from '../../src/config/nearest.ts';
import { packageRoot } from '../../src/platform/package-root.ts';

/** The path of a similar file next to `path`, in the working directory, in ./examples or in the package's examples. */
export function nearFile(path: string, extension: string): string | null {
  const directories = [dirname(path), '.', 'examples', join(packageRoot(), 'examples')];
  for (const directory of directories) {
    const names = filesIn(directory).filter((name) => name.endsWith(extension));
    // The extension, which all have, must not make them alike: nope.json is not near to biome.json.
    const alike = names.filter((name) => isAlike(basename(path, extension), basename(name, extension)));
    const meant = nearestWord(basename(path), alike) ?? names.find((name) => name.startsWith(basename(path)));
    if (meant !== undefined) return relative('.', join(directory, meant));
  }
  return null;
}

/** At most every second letter is another. */
function isAlike(asked: string, name: string): boolean {
  return editDistance(asked.toLowerCase(), name.toLowerCase()) <= asked.length / 2;
}

function filesIn(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
}

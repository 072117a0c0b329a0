// What a failed seed says: what must not be, at which commit, and the command that runs the seed again with a trace.

import { execFileSync } from 'node:child_process';
import { packageRoot, packageVersion } from '../../src/platform/package-root.ts';

/** The commit of the repository in `directory`, with a plus where files differ from it; null where there is none. */
export function commitOf(directory: string): string | null {
  const git = (...words: string[]): string =>
    execFileSync('git', ['-C', directory, ...words], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  try {
    const isChanged = git('status', '--porcelain', '--untracked-files=no') !== '';
    return git('rev-parse', 'HEAD').trim() + (isChanged ? '+' : '');
  } catch {
    return null;
  }
}

/** The commit, or the package's version where there is no repository. */
export function codeOf(directory = packageRoot()): string {
  const commit = commitOf(directory);
  return commit === null ? `version ${packageVersion()}` : `commit ${commit}`;
}

export function failureText(seed: number, code: string, error: Error): string {
  return [
    `seed ${seed} at ${code}: ${error.message}`,
    `replay with a trace: npm run test:sim -- --seeds 1 --from ${seed}`,
    error.stack ?? '',
  ].join('\n');
}

// The text of a failed seed: it must be enough to see the failure again, on another machine and another day.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { packageVersion } from '../../src/platform/package-root.ts';
import { codeOf, commitOf, failureText } from './failure.ts';
import { Violation } from './observers.ts';
import { Simulation } from './simulation.ts';

const directory = mkdtempSync(join(tmpdir(), 'lockstep-sim-'));
afterAll(() => rmSync(directory, { recursive: true }));

describe('a failed seed', () => {
  it('says seed, commit, what must not be, and how to see it again', () => {
    let failure: unknown = null;
    try {
      new Simulation(3, { quiet: true, broken: 'neverStarts' }).run();
    } catch (error) {
      failure = error;
    }
    expect(failure).toBeInstanceOf(Violation);
    const [first, second] = failureText(3, 'commit 0123abc', failure as Error).split('\n');
    expect(first).toMatch(/^seed 3 at commit 0123abc: the run does not end: coordinator \w+; w1 /);
    expect(second).toBe('replay with a trace: npm run test:sim -- --seeds 1 --from 3');
  });

  it('names the commit, and whether files differ from it; without a repository the version', () => {
    expect(commitOf(directory)).toBeNull();
    expect(codeOf(directory)).toBe(`version ${packageVersion()}`);
    const git = (...words: string[]): string =>
      execFileSync('git', ['-C', directory, '-c', 'user.name=T', '-c', 'user.email=t@t', ...words], {
        encoding: 'utf8',
      });
    git('init', '-q');
    writeFileSync(join(directory, 'file'), 'one');
    git('add', 'file');
    git('commit', '-q', '-m', 'One');
    const commit = git('rev-parse', 'HEAD').trim();
    expect(codeOf(directory)).toBe(`commit ${commit}`);
    writeFileSync(join(directory, 'file'), 'two');
    expect(codeOf(directory)).toBe(`commit ${commit}+`);
  });
});

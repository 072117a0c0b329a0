// Where a run goes: never into the directory of another, and back to its own with --resume.

import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runDirectory as openRunDirectory } from '../../../../deploy/cli/run-directory.ts';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'lockstep-runs-'));
});
afterEach(() => rmSync(root, { recursive: true }));

const runDirectory = (...args: Parameters<typeof openRunDirectory>): string => openRunDirectory(...args).path;

function fail(path: string): string {
  mkdirSync(join(root, path), { recursive: true });
  writeFileSync(join(root, path, 'events.ndjson'), '');
  return join(root, path);
}

function take(path: string): string {
  mkdirSync(join(fail(path), 'checkpoints'));
  writeFileSync(join(root, path, 'checkpoints', 'step-000001.safetensors'), '');
  return join(root, path);
}

describe('runDirectory without --out', () => {
  it('names the cause where the directory of all runs cannot be made', () => {
    expect(() => runDirectory('a', undefined, false, '/proc/self/runs')).toThrow(
      /^\/proc\/self\/runs\/a: cannot be made \(E(NOENT|ACCES|PERM|ROFS)\); name another place with --out$/,
    );
    writeFileSync(join(root, 'file'), '');
    expect(() => runDirectory('a', undefined, false, join(root, 'file', 'runs'))).toThrow(
      /cannot be made \(ENOTDIR\)/,
    );
  });

  it('takes the next free number', () => {
    expect(runDirectory('a', undefined, false, root)).toBe(join(root, 'a'));
    take('a');
    take('a-2');
    expect(runDirectory('a', undefined, false, root)).toBe(join(root, 'a-3'));
  });

  it('keeps apart runs that failed, but does not resume them', () => {
    fail('a');
    expect(runDirectory('a', undefined, false, root)).toBe(join(root, 'a-2'));
    expect(() => runDirectory('a', undefined, true, root)).toThrow(/there is no run to resume/);
    take('a-2');
    fail('a-3');
    expect(runDirectory('a', undefined, true, root)).toBe(join(root, 'a-2'));
  });

  it('resumes the newest that has members, though no checkpoint; not one that nobody came to', () => {
    take('a');
    writeFileSync(join(fail('a-2'), 'journal.ndjson'), '{"runId":"r"}\n{"generation":1,"workerIds":["w"]}\n');
    writeFileSync(join(fail('a-3'), 'journal.ndjson'), '{"runId":"s"}\n');
    expect(runDirectory('a', undefined, true, root)).toBe(join(root, 'a-2'));
  });

  it('resumes the newest', () => {
    take('a');
    expect(runDirectory('a', undefined, true, root)).toBe(join(root, 'a'));
    take('a-2');
    expect(runDirectory('a', undefined, true, root)).toBe(join(root, 'a-2'));
  });

  it('resumes the highest number, whatever lies in between', () => {
    take('a');
    mkdirSync(join(root, 'a-2'));
    take('a-10');
    take('a-b');
    expect(runDirectory('a', undefined, true, root)).toBe(join(root, 'a-10'));
    expect(runDirectory('a', undefined, false, root)).toBe(join(root, 'a-11'));
  });

  it('claims by making: runs that start together never get the same one', () => {
    expect(runDirectory('a', undefined, false, root)).toBe(join(root, 'a'));
    expect(runDirectory('a', undefined, false, root)).toBe(join(root, 'a-2'));
  });

  it('leaves nothing behind of a run that came to nothing, and all of one that did not', () => {
    const runs = join(root, 'runs');
    openRunDirectory('a', undefined, false, runs).removeIfEmpty();
    expect(existsSync(runs)).toBe(false);
    const used = openRunDirectory('a', undefined, false, runs);
    writeFileSync(join(used.path, 'events.ndjson'), '');
    const unused = openRunDirectory('a', undefined, false, runs);
    used.removeIfEmpty();
    unused.removeIfEmpty();
    expect(readdirSync(runs)).toEqual(['a']);
  });

  it('says where no directory can be made', () => {
    const file = join(take('x'), 'events.ndjson');
    expect(() => runDirectory('a', undefined, false, join(file, 'runs'))).toThrow(
      `${join(file, 'runs', 'a')}: cannot be made (ENOTDIR); name another place with --out`,
    );
  });

  it('has nothing to resume in the beginning', () => {
    expect(() => runDirectory('a', undefined, true, root)).toThrow(/there is no run to resume/);
  });
});

describe('runDirectory with --out', () => {
  it('takes a new or empty directory', () => {
    expect(runDirectory('a', join(root, 'x', 'y'), false, root)).toBe(join(root, 'x', 'y'));
    expect(runDirectory('a', root, false, root)).toBe(root);
    expect(runDirectory('a', fail('x'), false, root)).toBe(join(root, 'x'));
  });

  it('leaves an empty directory of the user where it is', () => {
    mkdirSync(join(root, 'mine'));
    openRunDirectory('a', join(root, 'mine'), false, root).removeIfEmpty();
    expect(existsSync(join(root, 'mine'))).toBe(true);
  });

  it('refuses the directory of a run, unless it is resumed', () => {
    const taken = take('x');
    expect(() => runDirectory('a', taken, false, root)).toThrow(/holds a run already: add --resume/);
    expect(runDirectory('a', taken, true, root)).toBe(taken);
    expect(() => runDirectory('a', join(root, 'none'), true, root)).toThrow(/there is no run to resume/);
  });

  it('refuses a file', () => {
    const file = join(take('x'), 'events.ndjson');
    expect(() => runDirectory('a', file, false, root)).toThrow(/is not a directory/);
    expect(() => runDirectory('a', join(file, 'deeper'), false, root)).toThrow(/is not a directory/);
  });
});

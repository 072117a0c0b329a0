// How the code of the repository is kept: heads, sizes, names, and things that never appear. Formatting and lint are
// Biome's (npm run check); imports are in imports.test.ts.

import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  codeFiles,
  placesOf,
  repositoryRoot,
  type SourceFile,
  textFiles,
  typeScriptFiles,
  withoutComments,
} from './source-files.ts';

const headLinesMax = 8;
const fileLinesMax = 450;
const medianLinesMax = 200;
const functionLinesMax = 70;

/** Comment lines at the top, after a shebang. */
function headLength(text: string): number {
  const lines = text.replace(/^#!.*\n/, '').split('\n');
  const end = lines.findIndex((line) => !/^(\/\/|\/\*| \*)/.test(line));
  return end < 0 ? lines.length : end;
}

const lineCount = (text: string): number => text.split('\n').length - (text.endsWith('\n') ? 1 : 0);

describe('files', () => {
  it('start with one to eight lines that say what they are for', () => {
    const wrong = codeFiles
      .map((file) => ({ path: file.path, lines: headLength(file.text) }))
      .filter(({ lines }) => lines < 1 || lines > headLinesMax);
    expect(wrong).toEqual([]);
  });

  it(`have at most ${fileLinesMax} lines, and a small median`, () => {
    const sizes = codeFiles.map((file) => ({ path: file.path, lines: lineCount(file.text) }));
    const sorted = sizes.map(({ lines }) => lines).sort((a, b) => a - b);
    const median = sorted[sorted.length >> 1] ?? 0;
    console.info(`${sizes.length} code files, median ${median} lines, largest ${sorted.at(-1)}`);
    expect(sizes.filter(({ lines }) => lines > fileLinesMax)).toEqual([]);
    expect(median).toBeLessThanOrEqual(medianLinesMax);
  });

  it('have kebab-case names (C: snake_case)', () => {
    const wrong = codeFiles
      .map((file) => file.path)
      .filter((path) => {
        const stem = basename(path).replace(/\.(test\.ts|config\.ts|d\.ts|ts|mjs|c|h)$/, '');
        return !(/\.[ch]$/.test(path) ? /^[a-z0-9_]+$/ : /^[a-z0-9]+(-[a-z0-9]+)*$/).test(stem);
      });
    expect(wrong).toEqual([]);
  });
});

interface FunctionSpan {
  readonly place: string;
  readonly lines: number;
}

/** Functions and methods of formatted code: from the line that opens one to the `}` at its own indentation. */
function functionsOf(path: string, text: string): FunctionSpan[] {
  const opening =
    /^(\s*)(?:export |static |async |private |get |set |inline |default )*(?:function\b.*|(?:const|let) \w+ = (?:async )?\(.*|\*?#?\w+(?:<.*>)?\(.*)$/;
  const notOpening = /^\s*(if|for|while|switch|catch|return|await|super|it|test|describe|expect|new|else)\b/;
  const lines = text.split('\n');
  const spans: FunctionSpan[] = [];
  lines.forEach((line, index) => {
    const indentation = opening.exec(line)?.[1];
    if (indentation === undefined || notOpening.test(line) || /;$/.test(line)) return;
    const end = lines.findIndex(
      (other, at) => at > index && new RegExp(`^${indentation}[^\\s]`).test(other) && !/^\s*\)/.test(other),
    );
    if (end >= 0 && lines[end]?.startsWith(`${indentation}}`))
      spans.push({ place: `${path}:${index + 1}`, lines: end - index + 1 });
  });
  return spans;
}

describe('functions', () => {
  it(`have at most ${functionLinesMax} lines`, () => {
    const spans = typeScriptFiles.flatMap((file) => functionsOf(file.path, file.text));
    expect(spans.length).toBeGreaterThan(20);
    expect(spans.filter(({ lines }) => lines > functionLinesMax)).toEqual([]);
  });
});

/** Built from parts, so that this file does not contain what it looks for. */
const word = (...parts: string[]): RegExp => new RegExp(parts.join(''));

describe('never', () => {
  const never = (pattern: RegExp, files: readonly SourceFile[], text: (source: string) => string) =>
    files.flatMap((file) => placesOf(file, text(file.text), pattern));
  const asIs = (source: string) => source;

  it('an any, or a silenced type error', () => {
    expect(never(/(:|<|\bas|\|)\s*any\s*([;,)=|&\]>{]|$)/m, typeScriptFiles, withoutComments)).toEqual([]);
    expect(never(word('@ts-', '(ignore|expect-error|nocheck)'), typeScriptFiles, asIs)).toEqual([]);
  });

  it('a note of unfinished work', () => {
    expect(never(word('\\b(TO', 'DO|FIX', 'ME|XX', 'X)\\b'), textFiles, asIs)).toEqual([]);
  });

  it('a default export, except where a config file needs one', () => {
    const files = typeScriptFiles.filter((file) => !/\.config\.ts$|^examples\//.test(file.path));
    expect(never(/^export default\b/m, files, withoutComments)).toEqual([]);
  });

  it('an enum, a namespace or a barrel other than index.ts', () => {
    expect(never(/^\s*(export )?(const )?(enum|namespace) \w/m, typeScriptFiles, withoutComments)).toEqual(
      [],
    );
    expect(never(/^export \* from/m, typeScriptFiles, withoutComments)).toEqual([]);
  });

  it("the platform's own transcendental functions where numbers are made", () => {
    const files = typeScriptFiles.filter((file) => /^(src|worker)\//.test(file.path));
    const libm =
      /\bMath\.(exp|expm1|log|log1p|log2|log10|pow|a?sinh?|a?cosh?|a?tanh?|atan2|cbrt|hypot)\b|(?<![^\w.]2) \*\* /;
    expect(never(libm, files, withoutComments)).toEqual([]);
  });

  it('a number of a config that is not declared as what it becomes in the program', () => {
    const files = typeScriptFiles.filter(
      (file) => /^src\/(config|nn|optim)\//.test(file.path) && file.path !== 'src/config/float32.ts',
    );
    expect(never(/\bz\s*\.(number|float32|float64|coerce)\b/m, files, withoutComments)).toEqual([]);
  });

  it('a path of one machine', () => {
    expect(never(word('(^|[\\s"\'`(=:])/(home|work|root|Users|tmp)', '/'), textFiles, asIs)).toEqual([]);
  });

  it('a package from anywhere but the registry, or one that only some platforms find in the lock file', () => {
    const lock = JSON.parse(readFileSync(join(repositoryRoot, 'package-lock.json'), 'utf8')) as Lock;
    const registry = 'https://registry.npmjs.org/';
    const foreign = Object.entries(lock.packages).filter(
      ([, entry]) => entry.link === true || !(entry.resolved ?? registry).startsWith(registry),
    );
    expect(foreign).toEqual([]);
    // npm leaves out what the registry at hand does not have, and then refuses `npm ci` everywhere.
    const missing = Object.entries(lock.packages).flatMap(([path, entry]) =>
      Object.keys(entry.optionalDependencies ?? {}).filter(
        (name) =>
          !(`node_modules/${name}` in lock.packages) && !(`${path}/node_modules/${name}` in lock.packages),
      ),
    );
    expect(missing).toEqual([]);
  });
});

interface Lock {
  readonly packages: Readonly<
    Record<
      string,
      { resolved?: string; link?: boolean; optionalDependencies?: Readonly<Record<string, string>> }
    >
  >;
}

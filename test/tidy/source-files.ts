// What the tidy tests read: every file of the repository that a person wrote, with its text. Files are found on disk,
// so that a new file is checked before it is committed.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, extname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const repositoryRoot = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

export interface SourceFile {
  /** From the repository root, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

const skippedDirectories = new Set(['node_modules', 'dist', 'build', 'runs', '.git']);
const generated = [/^src\/kernels\/c\/kernel_ids\.h$/, /\.golden\./, /^package-lock\.json$/];
const textExtensions = new Set([
  '.ts',
  '.mjs',
  '.c',
  '.h',
  '.json',
  '.md',
  '.yml',
  '.yaml',
  '.sh',
  '.html',
  '.css',
]);

function* walk(directory: string): Generator<string> {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (!entry.isDirectory()) yield path;
    else if (!skippedDirectories.has(entry.name)) yield* walk(path);
  }
}

function readAll(): SourceFile[] {
  const files: SourceFile[] = [];
  for (const absolute of walk(repositoryRoot)) {
    const path = relative(repositoryRoot, absolute).replaceAll('\\', '/');
    if (!textExtensions.has(extname(path)) || generated.some((pattern) => pattern.test(path))) continue;
    files.push({ path, text: readFileSync(absolute, 'utf8') });
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

export const textFiles: readonly SourceFile[] = readAll();
/** Code: TypeScript, plain ES modules, C. */
export const codeFiles = textFiles.filter((file) => /\.(ts|mjs|c|h)$/.test(file.path));
export const typeScriptFiles = textFiles.filter((file) => file.path.endsWith('.ts'));

/** The text with comments blanked out (same lines), so that words in prose do not count. */
export function withoutComments(text: string): string {
  const blank = (match: string) => match.replace(/[^\n]/g, ' ');
  return text.replace(/\/\*[\s\S]*?\*\//g, blank).replace(/(^|[^:'"`/\\])\/\/.*$/gm, blank);
}

/** `path:line` of every match of the pattern. */
export function placesOf(file: SourceFile, text: string, pattern: RegExp): string[] {
  return [
    ...text.matchAll(new RegExp(pattern, pattern.flags.includes('g') ? pattern.flags : `${pattern.flags}g`)),
  ].map((match) => `${file.path}:${text.slice(0, match.index).split('\n').length}: ${match[0].trim()}`);
}

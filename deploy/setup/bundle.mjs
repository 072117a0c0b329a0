// Joins what tsc wrote for the command line, the public API and the lanes' threads, with the packages they use, into a few
// files in their place: a process starts in a third of the time, as Node has a dozen files to find and read, not 300.
// dist works without it, more slowly. Run by `npm run build` and by setup.mjs, after tsc.

import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const dist = join(root, 'dist');
const chunks = join(dist, 'joined');

/** Together, so that both have one class LockstepError; the threads apart, as they need little. */
const bundles = [['index', 'deploy/cli/main'], ['worker/lanes/lane-thread']];

/** Piscina finds its own threads' file beside itself; CSV is read by few. */
const external = ['piscina', /^csv-parse/];

/** The nearest package.json above a file of node_modules, as [name, directory]. */
function packageOf(id) {
  const match = /^(.*\/node_modules\/((?:@[^/]+\/)?[^/]+))\//.exec(id.replaceAll('\\', '/'));
  return match === null ? [] : [[match[2], match[1]]];
}

const command = join(dist, 'deploy', 'cli', 'main.js');
const joined = new Map();
const files = [];
for (const names of bundles) {
  const input = Object.fromEntries(names.map((name) => [name, join(dist, `${name}.js`)]));
  const bundle = await rolldown({ input, platform: 'node', external, logLevel: 'warn' });
  const { output } = await bundle.generate({
    format: 'esm',
    comments: false,
    chunkFileNames: 'joined/[name].js',
  });
  await bundle.close();
  for (const { fileName, code, moduleIds } of output) {
    for (const [name, directory] of moduleIds.flatMap(packageOf)) joined.set(name, directory);
    files.push([join(dist, fileName), code]);
  }
}
// tsc is to write all of its own again next time.
rmSync(join(dist, '.tsbuildinfo'), { force: true });
const before = existsSync(chunks) ? readdirSync(chunks) : [];
mkdirSync(chunks, { recursive: true });
for (const [path, code] of files) write(path, code);
for (const name of before)
  if (!files.some(([path]) => path === join(chunks, name))) rmSync(join(chunks, name));
writeFileSync(join(dist, 'THIRD-PARTY-NOTICES.txt'), notices());

/** A process may start meanwhile. npx makes the command executable only once: each build has to leave it so. */
function write(path, code) {
  writeFileSync(`${path}.new`, code, { mode: path === command ? 0o755 : 0o644 });
  renameSync(`${path}.new`, path);
}

/** The licences of the packages that were joined ask to be told with every copy. */
function notices() {
  return [...joined.keys()].sort().map(noticeOf).join('\n');
}

function noticeOf(name) {
  const directory = joined.get(name);
  const { version, license } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
  const file = ['LICENSE', 'LICENSE.md', 'license', 'LICENCE']
    .map((n) => join(directory, n))
    .find(existsSync);
  if (file === undefined) throw new Error(`${name} has no licence file in ${directory}`);
  return `${name} ${version} (${license})\n\n${readFileSync(file, 'utf8').trim()}\n`;
}

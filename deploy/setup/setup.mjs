// Makes a clone ready to run: packages, native addon, dist/. `npm start`, `npm test`, `npm run bench` and `npm pack` call it first,
// so it runs before node_modules exists: plain Node, no dependencies. Silent when there is nothing to do; otherwise one
// line on stderr for each thing done, with its seconds. Two at once are safe: the second waits for the first.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const nodeMinimum = [20, 19];
const lockPollMs = 200;
const lockWaitMaxMs = 10 * 60_000;
const compiledEntries = ['index.ts', 'src', 'coordinator', 'worker', 'proto', 'deploy', 'bench'];
const buildFiles = ['tsconfig.json', 'tsconfig.build.json', 'package-lock.json', 'deploy/setup/bundle.mjs'];

class SetupError extends Error {}

function checkNodeVersion() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > nodeMinimum[0] || (major === nodeMinimum[0] && minor >= nodeMinimum[1])) return;
  throw new SetupError(
    `Node.js ${nodeMinimum.join('.')} or later is needed, this is ${process.versions.node}: install a newer one from https://nodejs.org`,
  );
}

/** Runs a command with its output held back; shows `label ... seconds`, and the output only if it failed. */
function runStep(label, command, args) {
  const startedMs = Date.now();
  process.stderr.write(`setup: ${label} ... `);
  const result = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const seconds = ((Date.now() - startedMs) / 1000).toFixed(1);
  if (result.error === undefined && result.status === 0) {
    process.stderr.write(`${seconds} s\n`);
    return;
  }
  process.stderr.write(`failed after ${seconds} s\n`);
  const output = `${result.stdout ?? ''}${result.stderr ?? ''}`.trimEnd();
  if (output !== '') process.stderr.write(`${output}\n`);
  const reason =
    result.error?.message ?? (result.signal === null ? `exit code ${result.status}` : `${result.signal}`);
  throw new SetupError(
    `${label} failed (${command.split('/').pop()} ${args.slice(-3).join(' ')}: ${reason})`,
  );
}

function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return null;
  }
}

/** npm writes node_modules/.package-lock.json last, so it tells what is wholly installed. */
function packagesAreInstalled() {
  const wanted = readJson(join(root, 'package-lock.json'))?.packages;
  const present = readJson(join(root, 'node_modules', '.package-lock.json'))?.packages;
  if (wanted === undefined)
    throw new SetupError('package-lock.json is missing or broken: check it out again');
  if (present === undefined) return false;
  const same = (path) => present[path].version === wanted[path]?.version && existsSync(join(root, path));
  return (
    Object.keys(present).every(same) &&
    Object.entries(wanted).every(([path, entry]) => path === '' || entry.optional === true || path in present)
  );
}

function installPackages() {
  if (packagesAreInstalled()) return;
  // No package needs its install script here; the addon is built below, where its outcome can be told.
  // `npm pack --dry-run` hands its own flag down by the environment.
  const args = [
    'ci',
    '--include=dev',
    '--ignore-scripts',
    '--no-dry-run',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ];
  const npm = process.env.npm_execpath;
  const label = 'installing packages from the npm registry';
  if (npm !== undefined && /\.[cm]?js$/.test(npm)) runStep(label, process.execPath, [npm, ...args]);
  else runStep(label, 'npm', args);
}

/** The build script knows when its product is stale, and says in one line what it did; without a compiler it ends well. */
function buildNativeAddon() {
  const script = join(root, 'deploy', 'setup', 'build-native.mjs');
  if (!existsSync(join(root, 'build', 'native')))
    process.stderr.write('setup: building native kernels ...\n');
  const result = spawnSync(process.execPath, [script], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 2],
  });
  if (result.status !== 0) throw new SetupError('building the native addon failed (see above)');
  const line = result.stdout.trim();
  if (!line.endsWith('up to date')) process.stderr.write(`setup: ${line}\n`);
}

function* filesUnder(path) {
  if (!existsSync(path)) return;
  if (!statSync(path).isDirectory()) {
    yield path;
    return;
  }
  for (const name of readdirSync(path).sort()) yield* filesUnder(join(path, name));
}

function sourcesStamp(sources) {
  const hash = createHash('sha256').update(process.versions.node);
  for (const path of [...sources, ...buildFiles.map((name) => join(root, name))]) {
    const { size, mtimeMs } = statSync(path);
    hash.update(`${relative(root, path)} ${size} ${mtimeMs}\n`);
  }
  return hash.digest('hex');
}

/** What tsc wrote for a source that is gone must not stay importable, nor be packed. */
function removeOrphans() {
  for (const path of filesUnder(join(root, 'dist'))) {
    const source = join(root, relative(join(root, 'dist'), path)).replace(/(\.d)?\.[jt]s$/, '.ts');
    if (/\.[jt]s$/.test(path) && !existsSync(source)) rmSync(path);
  }
}

function compileSources() {
  const sources = compiledEntries.flatMap((entry) => [
    ...[...filesUnder(join(root, entry))].filter((path) => path.endsWith('.ts')),
  ]);
  const stampPath = join(root, 'dist', '.setup-stamp');
  const stamp = sourcesStamp(sources);
  if (existsSync(stampPath) && readFileSync(stampPath, 'utf8') === stamp) return;
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  removeOrphans();
  if (!existsSync(join(root, 'dist', 'index.js')))
    rmSync(join(root, 'dist', '.tsbuildinfo'), { force: true });
  runStep('compiling TypeScript', process.execPath, [compiler, '-p', 'tsconfig.build.json']);
  runStep('joining modules', process.execPath, [join(root, 'deploy', 'setup', 'bundle.mjs')]);
  writeFileSync(stampPath, stamp);
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** Runs `work` while no other setup of this clone does. The lock names its holder's pid, so a dead one is taken over. */
function withLock(work) {
  const lockPath = join(root, 'build', '.setup-lock');
  mkdirSync(dirname(lockPath), { recursive: true });
  const giveUpMs = Date.now() + lockWaitMaxMs;
  for (;;) {
    try {
      writeFileSync(lockPath, `${process.pid}`, { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const holder = existsSync(lockPath) ? Number(readFileSync(lockPath, 'utf8')) : 0;
    if (holder > 0 && !isAlive(holder)) rmSync(lockPath, { force: true });
    else if (Date.now() > giveUpMs)
      throw new SetupError(`another setup (pid ${holder}) holds ${lockPath} for too long`);
    else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, lockPollMs);
  }
  try {
    work();
  } finally {
    rmSync(lockPath, { force: true });
  }
}

try {
  checkNodeVersion();
  withLock(() => {
    installPackages();
    buildNativeAddon();
    compileSources();
  });
} catch (error) {
  const message = error instanceof SetupError ? error.message : `setup failed: ${error.message}`;
  process.stderr.write(`error: ${message}\n`);
  process.exitCode = 1;
}

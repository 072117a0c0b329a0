// Builds build/native/lockstep.node with the C compiler of the machine, where there is one; else says in one line why
// WebAssembly will be used, and ends well. It is the package's install script: plain Node.js, no dependencies, and no
// node-gyp (no Python, no download of headers: Node-API's are a 200 KB package).
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const kernelSources = join(root, 'src/kernels/c');
const addonFolder = join(root, 'src/kernels/native');
const addonSource = join(addonFolder, 'addon.c');
const target = join(root, 'build/native/lockstep.node');
const stamp = `${target}.sha256`;
const compileTimeoutMs = 300_000;

/** kernels.c once for each; every set gives the same bits. */
const instructionSets = {
  x64: {
    avx512: [
      '-mavx512f',
      '-mavx512vl',
      '-mavx512dq',
      '-mavx512bw',
      '-mavx2',
      '-mfma',
      '-mprefer-vector-width=512',
    ],
    avx2: ['-mavx2', '-mfma'],
    portable: [],
  },
  arm64: { neon: [], portable: ['-DLOCKSTEP_PORTABLE'] },
};
const sets = instructionSets[process.arch] ?? { portable: ['-DLOCKSTEP_PORTABLE'] };

/** No contraction, no reassociation: results are fixed by the source alone. */
const flags = [
  '-std=gnu11',
  '-O3',
  '-ffp-contract=off',
  '-fno-math-errno',
  '-fno-trapping-math',
  '-fPIC',
  '-fvisibility=hidden',
  '-Wall',
];
const linkFlags = process.platform === 'darwin' ? ['-bundle', '-undefined', 'dynamic_lookup'] : ['-shared'];

const run = promisify(execFile);

async function findCompiler() {
  for (const name of process.env.CC ? [process.env.CC] : ['cc', 'gcc', 'clang']) {
    const version = await run(name, ['--version'], { timeout: 20_000 }).catch(() => null);
    if (version) return { name, version: version.stdout.split('\n')[0] };
  }
  throw new Error(
    process.env.CC
      ? `the compiler CC=${process.env.CC} does not run`
      : 'no C compiler found (cc, gcc, clang)',
  );
}

function findHeaders() {
  const candidates = [resolve(dirname(process.execPath), '../include/node')];
  try {
    candidates.unshift(createRequire(import.meta.url)('node-api-headers').include_dir);
  } catch {} // not installed: Node's own headers may be there
  const found = candidates.find((directory) => existsSync(join(directory, 'node_api.h')));
  if (!found) throw new Error('the package node-api-headers is not installed');
  return found;
}

function hashOfInputs() {
  const hash = createHash('sha256');
  hash.update(
    JSON.stringify([sets, flags, linkFlags, process.arch, process.platform, process.env.CC ?? null]),
  );
  for (const folder of [kernelSources, addonFolder]) {
    const files = readdirSync(folder).filter((name) => /\.[hc]$/.test(name));
    for (const name of files.sort()) hash.update(readFileSync(join(folder, name)));
  }
  return hash.digest('hex');
}

async function compile(compiler, headers, directory) {
  const object = (name, source, extra) => {
    const output = join(directory, `${name}.o`);
    return run(compiler, [...flags, ...extra, '-c', source, '-o', output], {
      timeout: compileTimeoutMs,
    }).then(() => output);
  };
  const objects = await Promise.all([
    object('addon', addonSource, [`-I${headers}`]),
    ...Object.entries(sets).map(([name, extra]) =>
      object(name, join(kernelSources, 'kernels.c'), [...extra, `-DLOCKSTEP_ISA=${name}`]),
    ),
  ]);
  const output = join(directory, 'lockstep.node');
  await run(compiler, [...linkFlags, ...objects, '-o', output], { timeout: compileTimeoutMs });
  // A library that does not load here must never be the one that is found later.
  await run(process.execPath, ['-e', 'process.dlopen({ exports: {} }, process.argv[1])', output], {
    timeout: 20_000,
  });
  return output;
}

async function build() {
  if (process.platform === 'win32') throw new Error('native kernels are not built on Windows');
  const hash = hashOfInputs();
  if (existsSync(target) && existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return 'up to date';
  const compiler = await findCompiler();
  const headers = findHeaders();
  const started = Date.now();
  mkdirSync(dirname(target), { recursive: true });
  const directory = mkdtempSync(join(dirname(target), 'building-'));
  try {
    renameSync(await compile(compiler.name, headers, directory), target);
    writeFileSync(stamp, hash);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return `built with ${compiler.version} in ${((Date.now() - started) / 1000).toFixed(1)} s`;
}

try {
  console.log(`native kernels (${Object.keys(sets).join(', ')}): ${await build()}`);
} catch (error) {
  try {
    rmSync(target, { force: true }); // of other sources, if it is there: nobody may find it
  } catch {} // a package that cannot be written to
  const reason = String(error.stderr || error.message)
    .trim()
    .split('\n');
  const line = reason.find((text) => /error/i.test(text)) ?? reason[0];
  console.log(`native kernels are not available, WebAssembly will be used: ${line}`);
}

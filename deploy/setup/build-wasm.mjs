// Builds src/kernels/wasm/kernels-relaxed.wasm and kernels-strict.wasm with the clang of src/kernels/wasm/toolchain
// (an npm package, itself WebAssembly), which is installed there first where it is missing. For developers: the two
// files are in the repository. The same sources give the same bytes on every machine; a test rebuilds and compares.
//   node deploy/setup/build-wasm.mjs [output folder]
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const kernelSources = join(root, 'src/kernels/c');
const toolchain = join(root, 'src/kernels/wasm/toolchain');
const compilerEntry = join(toolchain, 'node_modules/@yowasp/clang/gen/bundle.js');
const installTimeoutMs = 600_000;

/** Data and the linker's own stack stay below this; lanes' stacks follow (src/kernels/wasm/layout.ts), then the arena. */
const dataEnd = 65_536;
const pageSize = 65_536;
const pagesMax = 65_536;

const variants = { relaxed: ['-mrelaxed-simd'], strict: [] };
const flags = [
  '--target=wasm32-unknown-unknown', '-std=gnu11', '-O3', '-ffreestanding', '-ffp-contract=off', '-fno-math-errno', '-Wall',
  '-msimd128', '-matomics', '-mbulk-memory', '-mmutable-globals', '-mnontrapping-fptoint', '-msign-ext', '-fno-ident',
]; // biome-ignore format: a table
const linkFlags = [
  '-nostdlib', '-Wl,--no-entry', '-Wl,--import-memory', '-Wl,--shared-memory', `-Wl,--initial-memory=${dataEnd}`,
  `-Wl,--max-memory=${pagesMax * pageSize}`, '-Wl,-z,stack-size=16384', '-Wl,--export=__stack_pointer',
  '-Wl,--export=__heap_base', '-Wl,--strip-all',
]; // biome-ignore format: a table

/** Exit code where the compiler cannot be installed, for the test that then says so. */
const noToolchain = 3;

function installToolchain() {
  if (existsSync(compilerEntry)) return;
  console.error('installing the pinned clang (100 MB, once) ...');
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const options = ['ci', '--ignore-scripts', '--no-audit', '--no-fund'];
  try {
    execFileSync(npm, options, { cwd: toolchain, stdio: 'pipe', timeout: installTimeoutMs });
  } catch (error) {
    const lines = String(error.stderr || error.message)
      .trim()
      .split('\n');
    const reason = lines.find((line) => /^npm error (?!code|errno|syscall)/.test(line)) ?? lines.at(-1);
    console.error(`the pinned clang cannot be installed in ${toolchain}: ${reason}`);
    process.exit(noToolchain);
  }
}

/** The two builds by variant: Record<'relaxed' | 'strict', Uint8Array>. */
export async function buildWasm() {
  installToolchain();
  const { runClang } = await import(pathToFileURL(compilerEntry).href);
  const names = readdirSync(kernelSources)
    .filter((name) => /\.[hc]$/.test(name))
    .sort();
  const sources = Object.fromEntries(
    names.map((name) => [name, readFileSync(join(kernelSources, name), 'utf8')]),
  );
  const built = {};
  for (const [variant, extra] of Object.entries(variants)) {
    const output = `kernels-${variant}.wasm`;
    const files = await runClang(
      ['clang', ...flags, ...extra, 'kernels.c', ...linkFlags, '-o', output],
      sources,
    );
    built[variant] = files[output];
  }
  return built;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const folder = process.argv[2] ?? join(root, 'src/kernels/wasm');
  for (const [variant, bytes] of Object.entries(await buildWasm())) {
    writeFileSync(join(folder, `kernels-${variant}.wasm`), bytes);
    console.log(`kernels-${variant}.wasm: ${bytes.length} bytes`);
  }
}

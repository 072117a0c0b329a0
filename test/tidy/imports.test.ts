// Who may import whom, and what a pure file may not touch. The lists here are the architecture: a new folder needs a
// row before it passes.

import { posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import { placesOf, typeScriptFiles, withoutComments } from './source-files.ts';

const mayImport: Readonly<Record<string, readonly string[]>> = {
  proto: ['proto'],
  src: ['src'],
  coordinator: ['coordinator', 'src', 'proto'],
  worker: ['worker', 'src', 'proto'],
  deploy: ['deploy', 'coordinator', 'worker', 'src', 'proto'],
  'index.ts': ['deploy', 'coordinator', 'worker', 'src', 'proto'],
  bench: ['bench', 'deploy', 'coordinator', 'worker', 'src', 'proto', 'index.ts'],
  examples: ['examples', 'index.ts'],
};

/** No I/O, clock, timer or chance inside: the same calls give the same results. */
const pure: readonly RegExp[] = [
  /^src\/(ir|nn|autodiff|compile|optim|numerics|engine)\//,
  /^src\/(config\/schema[^/]*|errors|data\/digits|data\/dataset|checkpoint\/safetensors)\.ts$/,
  /^src\/kernels\/[^/]+\.ts$/,
  /^proto\/(messages|codec)[^/]*\.ts$/,
  /^proto\/messages\//,
  /^deploy\/cli\/progress\/format[^/]*\.ts$/,
];
const impureModules = /^(node:|ws$|piscina|pino|prom-client|commander|worker_threads)/;
const impureGlobals =
  /\b(setTimeout|setInterval|setImmediate|queueMicrotask|fetch|console|process|performance|Date)\s*[.(]|\bnew Date\b|\bMath\.random\b/;
const ioModules = /^(node:(?!assert|util|path|url|events|crypto|zlib)|ws$|piscina)/;

interface Import {
  readonly from: string;
  readonly specifier: string;
}

function importsOf(path: string, text: string): Import[] {
  const pattern =
    /(?:^|\n)\s*(?:import|export)\b[^'";]*?\bfrom\s*['"]([^'"]+)['"]|(?:^|\n)\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/g;
  return [...withoutComments(text).matchAll(pattern)].map((match) => ({
    from: path,
    specifier: match[1] ?? match[2] ?? match[3] ?? '',
  }));
}

const files = typeScriptFiles.filter((file) => !file.path.endsWith('.config.ts'));
const imports = files.flatMap((file) => importsOf(file.path, file.text));
const folderOf = (path: string): string => path.split('/')[0] ?? path;
const resolve = ({ from, specifier }: Import): string => posix.join(posix.dirname(from), specifier);
const isPure = (path: string): boolean => pure.some((pattern) => pattern.test(path));

describe('imports', () => {
  it('finds the imports of the tree', () => {
    expect(imports.length).toBeGreaterThan(20);
  });

  it('go one way: src and proto, then coordinator and worker, then deploy', () => {
    const wrong = imports.filter((entry) => {
      const allowed = mayImport[folderOf(entry.from)];
      if (folderOf(entry.from) === 'test' || !entry.specifier.startsWith('.')) return false;
      return allowed === undefined || !allowed.includes(folderOf(resolve(entry)));
    });
    expect(wrong).toEqual([]);
  });

  it('name files with their extension, and nobody imports dist or a test', () => {
    const wrong = imports.filter(
      (entry) =>
        entry.specifier.startsWith('.') &&
        (!/\.(ts|mjs|js|json)$/.test(entry.specifier) ||
          (folderOf(entry.from) !== 'test' && /(^|\/)(test|dist)\//.test(resolve(entry)))),
    );
    expect(wrong).toEqual([]);
  });

  it('stay inside their layer without cycles between files of src', () => {
    const runtime = new Map<string, string[]>();
    for (const file of files) {
      const withoutTypes = file.text.replace(/^(?:import|export) type\b[^;]*;/gm, '');
      runtime.set(
        file.path,
        importsOf(file.path, withoutTypes)
          .filter((entry) => entry.specifier.startsWith('.'))
          .map(resolve),
      );
    }
    expect(cyclesOf(runtime)).toEqual([]);
  });
});

/** Strongly connected files, found by walking from each file back to itself. */
function cyclesOf(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const cyclic: string[] = [];
  for (const start of graph.keys()) {
    const seen = new Set<string>();
    const stack = [...(graph.get(start) ?? [])];
    for (let path = stack.pop(); path !== undefined; path = stack.pop()) {
      if (seen.has(path)) continue;
      seen.add(path);
      stack.push(...(graph.get(path) ?? []));
    }
    if (seen.has(start)) cyclic.push(start);
  }
  return cyclic;
}

describe('pure files', () => {
  it('import no I/O', () => {
    const wrong = imports.filter((entry) => isPure(entry.from) && impureModules.test(entry.specifier));
    expect(wrong).toEqual([]);
  });

  it('read no clock, start no timer, take no chance', () => {
    const wrong = files
      .filter((file) => isPure(file.path))
      .flatMap((file) => placesOf(file, withoutComments(file.text), impureGlobals));
    expect(wrong).toEqual([]);
  });

  it('are told from files with I/O by these files saying so in their first lines', () => {
    const silent = files
      .filter((file) => /^(src|proto|coordinator|worker)\//.test(file.path))
      .filter((file) => importsOf(file.path, file.text).some((entry) => ioModules.test(entry.specifier)))
      .filter((file) => !/\b(I\/O|shell)\b/i.test(file.text.split('\n').slice(0, 3).join('\n')))
      .map((file) => file.path);
    expect(silent).toEqual([]);
  });
});

// The workloads of the benches: the files beside this one, and what a sample of each costs. Reads them (I/O).

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfigFile } from '../src/config/load.ts';
import type { RunConfig } from '../src/config/schema.ts';
import { packageRoot } from '../src/platform/package-root.ts';

export interface Workload {
  /** As peers name it: W1 .. W4. */
  readonly family: string;
  readonly config: RunConfig;
  readonly path: string;
  /** Floating-point operations of training on one sample: forward, input and weight gradients of dense and convolution
      layers (2 a multiply-add), without the input gradient of the first. */
  readonly flopsPerSample: number;
}

const flopsPerSample: Readonly<Record<string, number>> = {
  W1: 3.2092e6,
  W2: 71.565e6,
  W3: 145.34e6,
  W4: 142.02e6,
};

/** All workloads, or those whose name (w2-b64) or family (W2) is among `only`, in any case. */
export async function loadWorkloads(only: readonly string[]): Promise<Workload[]> {
  const directory = join(packageRoot(), 'bench/workloads');
  const wanted = only.map((name) => name.toLowerCase());
  const workloads: Workload[] = [];
  for (const file of readdirSync(directory).filter((name) => name.endsWith('.json'))) {
    const path = join(directory, file);
    const config = await loadConfigFile(path);
    const family = config.name.split('-')[0]!;
    if (wanted.length > 0 && !wanted.includes(family) && !wanted.includes(config.name)) continue;
    const flops = flopsPerSample[family.toUpperCase()];
    if (flops === undefined)
      throw new Error(`${file}: its name begins with none of ${Object.keys(flopsPerSample)}`);
    workloads.push({ family: family.toUpperCase(), config, path, flopsPerSample: flops });
  }
  return workloads.sort((a, b) => a.family.localeCompare(b.family) || a.config.batch - b.config.batch);
}

// What checkpoints cost (I/O): the same run as `lockstep train` with a checkpoint after every epoch, as is the default, and with
// the one at its end alone, in turns. Timed from the first step to the end of the run, which has the last checkpoint on disk.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../src/platform/package-root.ts';
import { jsonLines } from '../processes/json-lines.ts';
import { median } from '../report/statistics.ts';
import type { CheckpointResult } from './report.ts';

interface Subject {
  readonly name: string;
  /** From the root of the package. */
  readonly path: string;
  /** Put in place of the config's own, so that an epoch takes a second or more, as epochs do. */
  readonly trainSamples: number | null;
  readonly epochs: number;
}

const subjects: readonly Subject[] = [
  { name: 'w1-b128', path: 'bench/workloads/w1-b128.json', trainSamples: 32_768, epochs: 3 },
  { name: 'w2-b64', path: 'bench/workloads/w2-b64.json', trainSamples: 2_048, epochs: 3 },
  { name: 'digits-cnn', path: 'examples/digits-cnn.json', trainSamples: null, epochs: 3 },
];
const clusters = [
  { workers: 0, threads: 2 },
  { workers: 2, threads: 1 },
] as const;
const pairs = 5;
const never = 100_000_000;

/**
 * Medians over pairs of runs, one with and one without, in turns; of the subjects among `only`, of all where it is empty.
 * Throws with the last line of a run that failed.
 */
export async function measureCheckpoints(
  only: readonly string[],
  onProgress: (what: string) => void,
): Promise<CheckpointResult[]> {
  const results: CheckpointResult[] = [];
  for (const subject of subjects.filter(({ name }) => only.length === 0 || only.includes(name))) {
    for (const { workers, threads } of clusters) {
      const ratios: number[] = [];
      const seconds: number[] = [];
      let megabytes = 0;
      for (let pair = 0; pair < pairs; pair += 1) {
        const run = (often: boolean): Promise<TimedRun> => timedRun(subject, often, workers, threads);
        // Whoever goes first has a colder machine.
        const isFirst = pair % 2 === 0;
        const first = await run(isFirst);
        const second = await run(!isFirst);
        const [withAll, without] = isFirst ? [first, second] : [second, first];
        ratios.push(withAll.seconds / without.seconds);
        seconds.push(without.seconds);
        megabytes = withAll.megabytes;
        const seen = `${withAll.seconds.toFixed(2)} and ${without.seconds.toFixed(2)} s`;
        onProgress(`${subject.name}, ${workers} workers, pair ${pair + 1} of ${pairs}: ${seen}`);
      }
      results.push({
        workload: subject.name,
        workers,
        epochs: subject.epochs,
        megabytes,
        seconds: median(seconds),
        overhead: median(ratios) - 1,
        overheads: ratios.map((ratio) => ratio - 1),
      });
    }
  }
  return results;
}

interface TimedRun {
  readonly seconds: number;
  /** Of a checkpoint. */
  readonly megabytes: number;
}

async function timedRun(
  { path, trainSamples, epochs }: Subject,
  often: boolean,
  workers: number,
  threads: number,
): Promise<TimedRun> {
  const directory = mkdtempSync(join(tmpdir(), 'lockstep-bench-'));
  try {
    const config = join(directory, 'config.json');
    writeFileSync(config, configText(join(packageRoot(), path), trainSamples, epochs, often));
    const main = join(packageRoot(), 'dist/deploy/cli/main.js');
    const out = join(directory, 'run');
    const cluster = ['--workers', `${workers}`, '--threads', `${threads}`];
    const args = [main, 'train', config, '--json', '--out', out, ...cluster];
    const { seconds, stdout } = await timed(args);
    const written = jsonLines(stdout).findLast(({ event }) => event === 'checkpoint') as { path: string };
    const sidecar = JSON.parse(readFileSync(written.path.replace(/\.safetensors$/, '.json'), 'utf8'));
    return { seconds, megabytes: sidecar.bytes / 1e6 };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function configText(path: string, trainSamples: number | null, epochs: number, often: boolean): string {
  const { $schema: _, steps: __, data, ...fields } = JSON.parse(readFileSync(path, 'utf8'));
  const checkpoint = often ? { everyEpochs: 1 } : { everySteps: never };
  const sized = trainSamples === null ? data : { ...data, train: trainSamples };
  return JSON.stringify({ ...fields, data: sized, epochs, checkpoint });
}

/** From the first step that is told to the end of the run. */
async function timed(args: readonly string[]): Promise<{ seconds: number; stdout: string }> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  let firstMs: number | null = null;
  let lastMs = 0;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    if (firstMs === null && stdout.includes('"event":"step"')) firstMs = performance.now();
    if (text.includes('"event":"done"')) lastMs = performance.now();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0 || firstMs === null)
    throw new Error(`a run ended with ${code}: ${stderr.trim().split('\n').at(-1)}`);
  return { seconds: (lastMs - firstMs) / 1000, stdout };
}

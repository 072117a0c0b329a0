// A trained model is used with the numbers it was trained with: from any directory, whatever became of the training file; and
// what does not fit is said.

import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defineConfig, train } from '../../index.ts';
import { doneEvent, lockstep, type Outcome, temporaryDirectory } from './command-line.ts';

const directory = temporaryDirectory();
const at = (...parts: string[]): string => join(directory.path, ...parts);
const run = (cwd: string, ...args: string[]): Promise<Outcome> => lockstep(args, { cwd: at(cwd) });

/** Price of a house: a line of area and rooms, so that a few epochs tell a right scaling from a wrong one. */
const rows = Array.from({ length: 120 }, (_, i) => {
  const [area, rooms] = [50 + ((i * 37) % 190), 1 + (i % 9)];
  return { area, rooms, built: 1_700_000_000 + 60 * ((i * 53) % 97), price: area / 100 + rooms / 20 };
});
type Row = (typeof rows)[number];

function csv(columns: readonly (keyof Row)[], of: readonly Row[]): string {
  return `${[columns.join(','), ...of.map((row) => columns.map((name) => row[name]).join(','))].join('\n')}\n`;
}

const columns = ['area', 'rooms', 'built', 'price'] as const;
const files = { kind: 'csv', train: 'houses.csv', test: 'held.csv', target: 'price' } as const;
const config = defineConfig({
  name: 'houses',
  data: files,
  model: { input: [3], layers: [{ type: 'dense', units: 8 }, { type: 'tanh' }, { type: 'dense', units: 1 }] },
  loss: 'meanSquaredError',
  optimizer: { type: 'adam', learningRate: 0.01 },
  batch: 20,
  epochs: 40,
  checkpoint: { everyEpochs: 40 },
  evaluate: { everyEpochs: 40 },
});

const trainText = csv(columns, rows.slice(0, 100));
const heldText = csv(columns, rows.slice(100));
let done: ReturnType<typeof doneEvent>;
let predictions: string;

beforeAll(async () => {
  for (const each of ['project/data', 'elsewhere', 'moved']) mkdirSync(at(each), { recursive: true });
  writeFileSync(at('project/houses.json'), JSON.stringify(config));
  writeFileSync(at('project/data/houses.csv'), trainText);
  writeFileSync(at('project/data/held.csv'), heldText);
  writeFileSync(at('elsewhere/new.csv'), csv(['area', 'rooms', 'built'], rows.slice(100)));
  done = doneEvent(await run('project', 'train', 'houses.json', '--data', 'data', '--out', 'run', '--json'));
  predictions = (await run('elsewhere', 'predict', '../project/run', '--input', 'new.csv')).stdout;
});
afterAll(() => directory.remove());

const numbersOf = (text: string): number[] =>
  text
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => Number(line.split(',')[1]));

describe('a file of inputs', () => {
  it('is predicted about right, under the name of the target', () => {
    expect(predictions.split('\n')[0]).toBe('sample,price');
    const found = numbersOf(predictions);
    expect(found).toHaveLength(20);
    for (const [i, value] of found.entries())
      expect(Math.abs(value - rows[100 + i]!.price)).toBeLessThan(0.3);
  });

  it('gives the same when the training file is shortened, and when it is gone', async () => {
    writeFileSync(at('project/data/houses.csv'), csv(columns, rows.slice(3, 6)));
    const shortened = await run('elsewhere', 'predict', '../project/run', '--input', 'new.csv');
    expect(shortened).toMatchObject({ exitCode: 0, stdout: predictions, stderr: '' });
    rmSync(at('project/data/houses.csv'));
    const gone = await run('elsewhere', 'predict', '../project/run', '--input', at('elsewhere/new.csv'));
    expect(gone).toMatchObject({ exitCode: 0, stdout: predictions, stderr: '' });
    writeFileSync(at('project/data/houses.csv'), trainText);
  });

  it('gives the same with its columns in another order; columns too many are named once', async () => {
    writeFileSync(at('elsewhere/order.csv'), csv(['built', 'price', 'area', 'rooms'], rows.slice(100)));
    expect(await run('elsewhere', 'predict', '../project/run', '--input', 'order.csv')).toMatchObject({
      exitCode: 0,
      stdout: predictions,
      stderr: 'order.csv: the model does not use the column "price"\n',
    });
  });

  it.each([
    [
      'area,room,built\n1,2,3\n',
      ': has no column "rooms"; did you mean "room"? Its columns are "area", "room", "built"',
    ],
    [
      '1,2,3\n4,5,6\n',
      ': its first line holds numbers ("1", "2", "3"), but it must name the columns; put a line with their names on top',
    ],
    ['', ': is empty; its first line must name the columns'],
  ])('of other columns is refused: %j', async (text, message) => {
    writeFileSync(at('elsewhere/bad.csv'), text);
    expect(await run('elsewhere', 'predict', '../project/run', '--input', 'bad.csv')).toMatchObject({
      exitCode: 2,
      stdout: '',
      stderr: `error: bad.csv${message}\n`,
    });
  });
});

describe('the data of the run', () => {
  const evaluate = async (cwd: string, ...args: string[]) => {
    const outcome = await run(cwd, 'evaluate', at('project/run'), '--json', ...args);
    return { ...outcome, metrics: outcome.exitCode === 0 ? JSON.parse(outcome.stdout).metrics : null };
  };

  it('is found from any directory', async () => {
    expect(JSON.parse(readFileSync(at('project/run/data.json'), 'utf8'))).toEqual({
      directory: at('project/data'),
    });
    expect(await evaluate('elsewhere')).toMatchObject({ metrics: done.metrics, stderr: '' });
    const { stdout } = await run('elsewhere', 'predict', at('project/run'));
    expect(stdout).toBe(predictions);
  });

  it('is looked for in --data where it is given, and what differs is said', async () => {
    writeFileSync(at('moved/houses.csv'), csv(columns, rows.slice(0, 7)));
    writeFileSync(at('moved/held.csv'), heldText);
    expect(await evaluate('.', '--data', 'moved')).toMatchObject({ metrics: done.metrics, stderr: '' });
    const own = await evaluate('elsewhere', '--split', 'train');
    expect(own).toMatchObject({ exitCode: 0, stderr: '' });
    const other = await evaluate('elsewhere', '--split', 'train', '--data', at('moved'));
    expect(other).toMatchObject({
      exitCode: 0,
      stderr:
        'the training data is not what the run was trained on; it is scaled as the run scaled its own\n',
    });
    expect(other.metrics).not.toEqual(own.metrics);
    expect(other.metrics.loss).toBeLessThan(0.05);
  });

  it('that is not there is named with the place it was looked for in', async () => {
    renameSync(at('project/data/held.csv'), at('project/data/away.csv'));
    expect(await evaluate('elsewhere')).toMatchObject({
      exitCode: 2,
      stderr: `error: ${at('project/data/held.csv')}: there is no such file, nor one with .gz; name its directory with --data DIR\n`,
    });
    renameSync(at('project/data/away.csv'), at('project/data/held.csv'));
  });

  it('is looked for in the working directory for a checkpoint that was copied out of its run', async () => {
    copyFileSync(at('project', done.checkpoint!), at('elsewhere/copy.safetensors'));
    const args = ['evaluate', at('elsewhere/copy.safetensors'), '--json'];
    expect((await run('elsewhere', ...args)).stderr).toContain(
      `error: ${at('elsewhere/held.csv')}: there is no such file`,
    );
    expect(JSON.parse((await run('project/data', ...args)).stdout).metrics).toEqual(done.metrics);
  });
});

const sha256 = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

describe('paths of data', () => {
  const absolute = () => ({
    ...config,
    data: { ...files, train: at('project/data/houses.csv'), test: at('project/data/held.csv') },
  });

  it('that are absolute are taken as they are, by the command line and the library, for the same checkpoint', async () => {
    writeFileSync(at('elsewhere/absolute.json'), JSON.stringify(absolute()));
    const outcome = await run(
      'elsewhere',
      'train',
      'absolute.json',
      '--out',
      'absolute',
      '--json',
      '--workers',
      '2',
    );
    const byCommand = doneEvent(outcome);
    expect(byCommand.weightsSha256).toBe(done.weightsSha256);
    const byProgram = await train(absolute(), { out: at('elsewhere/library'), data: 'nowhere' });
    expect(sha256(byProgram.checkpoint!)).toBe(sha256(at('elsewhere', byCommand.checkpoint!)));
    const { stdout } = await run('.', 'evaluate', at('elsewhere/library'), '--json');
    expect(JSON.parse(stdout).metrics).toEqual(done.metrics);
  });

  it('that are relative start at `data` of the library too, and are remembered', async () => {
    const { checkpoint } = await train(config, { out: at('elsewhere/relative'), data: at('project/data') });
    expect(sha256(checkpoint!)).toBe(sha256(at('project', done.checkpoint!)));
    expect((await run('moved', 'evaluate', at('elsewhere/relative'), '--json')).exitCode).toBe(0);
  });

  it('that are absolute and gone are said to be absolute', async () => {
    const data = { ...files, train: at('gone.csv') };
    writeFileSync(at('elsewhere/gone.json'), JSON.stringify({ ...config, data }));
    expect(await run('elsewhere', 'train', 'gone.json', '--data', 'data')).toMatchObject({
      exitCode: 2,
      stderr:
        `error: ${at('gone.csv')}: there is no such file, nor one with .gz; ` +
        'the config names it by its absolute path, which --data DIR does not change\n',
    });
  });
});

it('a run does not go on with the same numbers under other names', async () => {
  writeFileSync(at('project/data/houses.csv'), trainText.replace('area,rooms', 'rooms,area'));
  writeFileSync(at('project/data/held.csv'), heldText.replace('area,rooms', 'rooms,area'));
  const more = ['--data', 'data', '--out', 'run', '--resume', '--epochs', '50'];
  const { exitCode, stderr } = await run('project', 'train', 'houses.json', ...more);
  expect({ exitCode, stderr }).toEqual({
    exitCode: 2,
    stderr:
      'error: the checkpoint in run was trained on a data set with other names of columns, or with values in other units; ' +
      'resume with the same data, or train into another --out\n',
  });
});

it('inspect shows the columns and the scaling', async () => {
  const { stdout } = await run('elsewhere', 'inspect', at('project/run'));
  expect(stdout).toMatch(/^features +area, rooms, built$/m);
  expect(stdout).toMatch(/^targets +price$/m);
  expect(stdout).toMatch(/^scale +standard$/m);
  const { fitted } = JSON.parse((await run('elsewhere', 'inspect', at('project/run'), '--json')).stdout);
  expect(fitted.inputs[0].means).toHaveLength(3);
});

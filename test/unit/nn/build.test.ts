// Models from descriptions: names, shapes, tensors, and what a user is told about each mistake.

import { describe, expect, it } from 'vitest';
import { explainIssues } from '../../../src/config/issues.ts';
import { LockstepError } from '../../../src/errors.ts';
import {
  add,
  averagePool,
  concat,
  conv2d,
  dense,
  flatten,
  maxPool,
  relu,
  sequential,
} from '../../../src/nn/api.ts';
import { type BuildOptions, buildModel } from '../../../src/nn/build.ts';
import {
  type LayerInput,
  layerSchema,
  layerTable,
  type ModelInput,
  modelSchema,
} from '../../../src/nn/description.ts';
import { networks } from './networks.ts';

const classification: BuildOptions = { loss: 'softmaxCrossEntropy' };
const regression: BuildOptions = { loss: 'meanSquaredError' };

function build(
  input: ModelInput['input'],
  layers: readonly LayerInput[],
  options: BuildOptions = classification,
) {
  return buildModel(modelSchema.parse(sequential(input, layers)), options);
}

function messageOf(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    expect(error).toBeInstanceOf(LockstepError);
    expect((error as LockstepError).code).toBe('LOCKSTEP_MODEL_INVALID');
    return (error as LockstepError).message;
  }
  throw new Error('nothing was thrown');
}

describe('buildModel', () => {
  it('declares tensors in the order of the layers', () => {
    const { parameters, statistics, inputShape, outputSize, targetSize } = buildModel(
      modelSchema.parse(networks.cnn.model),
      networks.cnn.options,
    );
    expect(parameters.map(({ name, shape, role }) => [name, shape, role])).toEqual([
      ['conv1.weight', [3, 3, 1, 4], 'weight'],
      ['batchNorm1.gamma', [4], 'gamma'],
      ['batchNorm1.beta', [4], 'beta'],
      ['conv2.weight', [1, 2, 4, 6], 'weight'],
      ['conv2.bias', [6], 'bias'],
      ['dense1.weight', [12, 3], 'weight'],
      ['dense1.bias', [3], 'bias'],
    ]);
    expect(statistics.map(({ name, initializer }) => [name, initializer.kind])).toEqual([
      ['batchNorm1.runningMean', 'zeros'],
      ['batchNorm1.runningVariance', 'ones'],
    ]);
    expect([inputShape, outputSize, targetSize]).toEqual([[9, 9, 1], 3, 1]);
  });

  it('numbers default names by type and steps over given ones', () => {
    const { parameters } = build(
      [4],
      [dense(5), dense(5, { name: 'dense3' }), dense(5), dense(5), relu(), dense(2)],
    );
    const weights = parameters.filter(({ role }) => role === 'weight').map(({ name }) => name);
    expect(weights).toEqual([
      'dense1.weight',
      'dense3.weight',
      'dense4.weight',
      'dense5.weight',
      'dense6.weight',
    ]);
  });

  it.each([
    { size: 5, kernel: 3, stride: 2, padding: [1, 1], out: 3 },
    { size: 6, kernel: 3, stride: 2, padding: [0, 1], out: 3 },
    { size: 7, kernel: 4, stride: 1, padding: [1, 2], out: 7 },
    { size: 6, kernel: 2, stride: 3, padding: [0, 0], out: 2 },
  ])('pads "same" with the odd pixel at bottom and right: $size by $kernel / $stride', (row) => {
    const { graph } = build(
      [row.size, row.size, 1],
      [conv2d({ filters: 1, kernel: row.kernel, stride: row.stride }), flatten(), dense(2)],
    );
    const conv = graph.values.find((value) => value.op === 'conv2d')!;
    expect(conv.attributes.padding).toEqual([...row.padding, ...row.padding]);
    expect(conv.shape).toEqual([row.out, row.out, 1]);
  });

  it('takes the target size from the loss', () => {
    expect(build([4], [dense(3)], classification).targetSize).toBe(1);
    expect(build([4], [dense(3)], regression).targetSize).toBe(3);
  });

  it('has outputs to spare where the data lacks its highest labels', () => {
    expect(build([4], [dense(10)], { ...classification, classes: 9 }).outputSize).toBe(10);
  });

  it('reports the loss first, then the metrics as asked', () => {
    const { graph } = build([4], [dense(3)], { ...regression, metrics: ['meanAbsoluteError'] });
    expect(graph.reports.map(({ name }) => name)).toEqual(['loss', 'meanAbsoluteError']);
  });
});

const image = [6, 6, 2] as [number, number, number];
const head = [flatten(), dense(3)];

/** What is wrong, and everything its message must name. */
const mistakes: readonly (readonly [string, () => unknown, readonly string[]])[] = [
  [
    'dense on an image',
    () => build(image, [dense(3)]),
    ['layers[0]', 'dense1', '[6, 6, 2]', '[72]', 'flatten'],
  ],
  [
    'conv2d on flat input',
    () => build([9], [conv2d({ filters: 1, kernel: 1 })]),
    ['conv1', '[9]', '[height, width, channels]'],
  ],
  [
    'a kernel larger than the image',
    () => build(image, [maxPool({ kernel: 7 }), ...head]),
    ['maxPool1', '7 x 7', '[6, 6, 2]', 'smaller'],
  ],
  [
    'padding as large as the kernel',
    () => build(image, [averagePool({ kernel: 2, padding: 2 }), ...head]),
    ['averagePool1', '[2, 2, 2, 2]', '2 x 2'],
  ],
  [
    'add of unequal shapes',
    () => build(image, [conv2d({ filters: 4, kernel: 3 }), add(['conv1', 'input']), ...head]),
    ['add1', '"conv1" [6, 6, 4]', '"input" [6, 6, 2]'],
  ],
  [
    'concat of unequal images',
    () => build(image, [maxPool(), concat(['maxPool1', 'input']), ...head]),
    ['concat1', '[3, 3, 2]', '[6, 6, 2]'],
  ],
  [
    'a name used twice',
    () => build([4], [dense(3, { name: 'a' }), dense(3, { name: 'a' })]),
    ['layers[1]', '"a"', 'layers[0]'],
  ],
  ['a layer called input', () => build([4], [dense(3, { name: 'input' })]), ['layers[0]', '"input"']],
  [
    'an unknown reference',
    () => build([4], [dense(3, { name: 'first' }), relu({ input: 'frist' })]),
    ['relu1', '"frist"', 'did you mean "first"'],
  ],
  [
    'a reference forward',
    () => build([4], [relu({ input: 'late' }), dense(3, { name: 'late' })]),
    ['relu1', '"late"', 'after it', 'layers[1]'],
  ],
  ['a cycle of one', () => build([4], [dense(3, { name: 'self', input: 'self' })]), ['"self"', 'itself']],
  [
    'a layer nobody reads',
    () => build([4], [dense(3), dense(2, { input: 'input' })]),
    ['dense1', 'no other layer'],
  ],
  ['nothing to train', () => build([4], [relu()]), ['nothing to train']],
  [
    'output that is not flat',
    () => build(image, [conv2d({ filters: 3, kernel: 1 })]),
    ['"conv1"', '[6, 6, 3]', 'flatten'],
  ],
  [
    'softmax in front of its loss',
    () => build([4], [dense(3), { type: 'softmax' }]),
    ['"softmax1"', 'logits', 'remove'],
  ],
  [
    'sigmoid in front of its loss',
    () => build([4], [dense(1), { type: 'sigmoid' }], { loss: 'sigmoidCrossEntropy' }),
    ['"sigmoid1"', 'remove'],
  ],
  [
    'fewer outputs than classes',
    () => build([4], [dense(5)], { ...classification, classes: 10 }),
    ['"dense1"', '5 outputs', '10 classes', '10 units'],
  ],
  [
    'one class too many',
    () => build([4], [dense(9)], { ...classification, classes: 10 }),
    ['"dense1"', '9 outputs', '10 classes', '10 units'],
  ],
  [
    'classes of data with values',
    () => build([4], [dense(5)], { ...classification, classes: 0 }),
    ['class indices', 'data.classes'],
  ],
  ['one output for classes', () => build([4], [dense(1)]), ['"dense1"', 'sigmoidCrossEntropy']],
  [
    'outputs that are not the targets',
    () => build([4], [dense(2)], { ...regression, targetSize: 3 }),
    ['"dense1"', '2 outputs', '3 numbers'],
  ],
  [
    'many classes with sigmoid',
    () => build([4], [dense(1)], { loss: 'sigmoidCrossEntropy', classes: 3 }),
    ['3 classes', 'softmaxCrossEntropy'],
  ],
  [
    'accuracy of a regression',
    () => build([4], [dense(1)], { ...regression, metrics: ['accuracy'] }),
    ['"accuracy"', 'meanSquaredError', 'meanAbsoluteError'],
  ],
];

describe('mistakes are told in one line that names them', () => {
  it.each(mistakes)('%s', (_, make, words) => {
    const message = messageOf(make);
    expect(message).not.toContain('\n');
    for (const word of words) expect(message).toContain(word);
  });
});

describe('descriptions', () => {
  it('refuse unknown keys', () => {
    const result = layerSchema.safeParse({ type: 'dense', units: 3, unit: 4 });
    expect(result.error?.issues[0]).toMatchObject({ code: 'unrecognized_keys', keys: ['unit'] });
  });

  it.each([
    [{ type: 'dens', units: 3 }, 'layers[0].type: "dens" is not valid here; did you mean "dense"?'],
    [{ type: 'dense', unit: 3 }, 'layers[0].unit: unknown key; did you mean "units"?'],
    [
      { type: 'conv2d', filters: 3, kernel: 3, padding: 'smae' },
      'layers[0].padding: "smae" is not valid here; did you mean "same"?',
    ],
    [
      { type: 'conv2d', filters: 3, kernel: 3, padding: [1, 1] },
      'layers[0].padding: must have at least 4 elements, has 2',
    ],
    [
      { type: 'dense', units: 3, initializer: 'hee' },
      'layers[0].initializer: "hee" is not valid here; did you mean "he"?',
    ],
    [
      { type: 'dense', units: 3, initializer: { type: 'unifrm', low: 0, high: 1 } },
      'layers[0].initializer.type: "unifrm" is not valid here; did you mean "uniform"?',
    ],
    [
      { type: 'dense', units: 3, initializer: { type: 'uniform', low: 0 } },
      'layers[0].initializer.high: missing; expected a number',
    ],
  ])('say what is wrong with %j', (layer, message) => {
    const input = { input: [4], layers: [layer] };
    const { issues } = modelSchema.safeParse(input).error!;
    expect(explainIssues(issues, modelSchema, input, 'model')).toContain(`model: ${message}`);
  });

  it.each([[[4, 4]], [[]], [[1, 2, 3, 4]], [[28, 28, 0]], [[2.5]], [4]])(
    'refuse the input shape %j',
    (input) => {
      expect(modelSchema.safeParse({ input, layers: [{ type: 'flatten' }] }).success).toBe(false);
    },
  );

  it('know each layer by its own row', () => {
    for (const [type, row] of Object.entries(layerTable)) {
      const minimal = { type, units: 1, filters: 1, kernel: 1, inputs: ['a', 'b'] };
      const keys = Object.keys((row.schema as typeof layerTable.dense.schema & { shape: object }).shape);
      const layer = Object.fromEntries(Object.entries(minimal).filter(([key]) => keys.includes(key)));
      expect(layerSchema.parse(layer).type).toBe(type);
    }
  });

  it('are the same before and after a second reading', () => {
    for (const { model } of Object.values(networks)) {
      const once = modelSchema.parse(model);
      expect(modelSchema.parse(JSON.parse(JSON.stringify(once)))).toEqual(once);
    }
  });
});

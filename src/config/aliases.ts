// What PyTorch, Keras and TensorFlow.js call the words of a config: one table. An edit distance alone would point from `lr` to
// nothing and from `prelu` to something else. Pure; for messages only, configs are written in the project's own words.

interface AliasRow {
  /** As `plain` leaves them. */
  readonly words: readonly string[];
  /** The first of these that is valid in the place is meant; where none is, nothing is. */
  readonly means?: readonly string[];
  /** What to write in its place, where one word is not enough. */
  readonly advice?: string;
  /** Only where this key is valid beside it. */
  readonly beside?: string;
  /** A thing of its own: where this project has none, no word that looks like it is meant. */
  readonly isOwn?: true;
}

const layer = (type: string): string => `a layer of its own, behind this one: { "type": "${type}" }`;

/** One row a meaning. A word that means two things has a row for each, with `beside`. */
export const aliasTable: readonly AliasRow[] = [
  // --- the run
  {
    words: ['batchsize', 'minibatch', 'minibatchsize', 'globalbatch', 'globalbatchsize', 'bs'],
    means: ['batch'],
  },
  { words: ['numepochs', 'nepochs', 'nbepoch', 'maxepochs', 'trainepochs', 'epoch'], means: ['epochs'] },
  {
    words: [
      'numsteps',
      'nsteps',
      'maxsteps',
      'trainsteps',
      'totalsteps',
      'iterations',
      'iters',
      'maxiter',
      'maxiters',
    ],
    means: ['steps', 'total'],
  },
  { words: ['randomseed', 'randomstate', 'manualseed', 'rngseed', 'rng'], means: ['seed'] },
  {
    words: [
      'clip',
      'gradclip',
      'gradclipnorm',
      'clipgradnorm',
      'gradientclip',
      'gradientclipnorm',
      'maxgradnorm',
    ],
    means: ['clipNorm'],
  },
  { words: ['globalclipnorm', 'maxnorm', 'gradientclipping', 'gradientclipval'], means: ['clipNorm'] },
  { words: ['criterion', 'lossfn', 'lossfunction', 'objective'], means: ['loss'] },
  { words: ['optim', 'optimiser', 'solver'], means: ['optimizer'] },
  { words: ['network', 'net', 'architecture', 'module'], means: ['model'] },
  { words: ['dataset', 'datasets', 'trainingdata', 'traindata'], means: ['data'] },
  { words: ['evaluation', 'eval', 'validate', 'validation', 'validationfreq'], means: ['evaluate', 'test'] },
  { words: ['checkpoints', 'checkpointing', 'checkpointconfig', 'saving'], means: ['checkpoint'] },
  {
    words: ['everynsteps', 'stepfrequency', 'savesteps', 'evalsteps', 'savefreq', 'interval'],
    means: ['everySteps'],
  },
  { words: ['everynepochs', 'everyepoch', 'saveepochs', 'evalepochs'], means: ['everyEpochs'] },
  { words: ['maxtokeep', 'keeplast', 'keepn', 'savetotallimit', 'savetopk'], means: ['keep'] },
  { words: ['monitor', 'savebest', 'savebestonly', 'keepbest'], means: ['best'] },

  // --- data
  { words: ['trainset', 'training', 'file', 'filename', 'path', 'csv', 'url'], means: ['train'] },
  { words: ['testset', 'val', 'valid', 'valset', 'heldout', 'holdout'], means: ['test', 'evaluate'] },
  {
    words: ['label', 'labels', 'y', 'ys', 'targets', 'targetcolumn', 'output', 'outputs'],
    means: ['target', 'targets'],
    beside: 'train',
  },
  {
    words: ['y', 'ys', 'label', 'target', 'targets', 'output', 'outputs'],
    means: ['labels'],
    beside: 'images',
  },
  { words: ['x', 'xs', 'image', 'inputs', 'pixels'], means: ['images', 'features'] },
  { words: ['columns', 'featurecolumns', 'inputcolumns', 'inputs'], means: ['features'] },
  { words: ['numclasses', 'nclasses', 'nclass', 'numlabels'], means: ['classes'] },
  {
    words: ['normalize', 'normalise', 'normalization', 'standardize', 'rescale', 'scaling'],
    means: ['scale'],
  },
  {
    words: ['zscore', 'standardize', 'standardise', 'standardscaler', 'meanstd', 'normalize'],
    means: ['standard'],
  },

  // --- optimizers and schedules
  {
    words: ['lr', 'eta', 'steprate', 'baselr', 'initlr', 'maxlr', 'initiallr'],
    means: ['learningRate', 'initial', 'peak'],
  },
  { words: ['stepsize'], means: ['every', 'learningRate'] },
  { words: ['initiallearningrate', 'startlr'], means: ['initial', 'peak', 'learningRate'] },
  { words: ['maxlearningrate', 'peaklr', 'peaklearningrate'], means: ['peak', 'initial', 'learningRate'] },
  { words: ['etamin', 'minlr', 'finallr', 'endlr'], means: ['final'] },
  { words: ['tmax', 'decaysteps', 'periodsteps'], means: ['total', 'every'] },
  { words: ['gamma', 'decayrate', 'dropfactor'], means: ['factor', 'decay'] },
  { words: ['warmupsteps', 'numwarmupsteps', 'nwarmup'], means: ['warmup'] },
  { words: ['wd', 'decoupledweightdecay'], means: ['weightDecay'] },
  {
    words: ['l2penalty', 'l2reg', 'l2regularization', 'regularization', 'kernelregularizer', 'lambda'],
    means: ['l2'],
  },
  { words: ['eps', 'adameps', 'variancepsilon'], means: ['epsilon'] },
  { words: ['mu', 'beta'], means: ['momentum'] },
  { words: ['betas'], advice: 'give "beta1" and "beta2"', beside: 'beta1' },
  { words: ['momentum'], advice: 'use { "type": "momentum" }, which has it', beside: 'learningRate' },
  { words: ['nesterov'], advice: 'use { "type": "nesterov" }', beside: 'learningRate' },
  { words: ['sgdm', 'sgdmomentum', 'momentumsgd', 'heavyball'], means: ['momentum'] },
  { words: ['nag', 'nesterovmomentum', 'sgdnesterov'], means: ['nesterov'] },
  { words: ['rmsprop'], means: ['rmsProp'], isOwn: true },
  { words: ['adagrad'], means: ['adagrad'], isOwn: true },
  { words: ['adadelta'], means: ['adadelta'], isOwn: true },
  { words: ['adamax'], means: ['adamax'], isOwn: true },
  { words: ['nadam'], means: ['nadam'], isOwn: true },
  { words: ['radam'], means: ['radam'], isOwn: true },
  { words: ['steplr', 'multisteplr', 'multistep', 'staircase', 'piecewise'], means: ['step'] },
  { words: ['exponentiallr', 'exponentialdecay', 'exp'], means: ['exponential'] },
  {
    words: ['cosineannealing', 'cosineannealinglr', 'cosinedecay', 'cosinewarmup', 'onecycle'],
    means: ['cosine'],
  },
  { words: ['constantlr', 'fixed'], means: ['constant'] },

  // --- losses and metrics
  { words: ['mse', 'mseloss', 'l2', 'l2loss', 'squarederror', 'quadratic'], means: ['meanSquaredError'] },
  { words: ['mae', 'maeloss', 'l1', 'l1loss', 'absoluteerror'], means: ['meanAbsoluteError'] },
  {
    words: [
      'crossentropy',
      'crossentropyloss',
      'categoricalcrossentropy',
      'sparsecategoricalcrossentropy',
      'ce',
    ],
    means: ['softmaxCrossEntropy'],
  },
  {
    words: [
      'nll',
      'nllloss',
      'softmaxcrossentropywithlogits',
      'sparsesoftmaxcrossentropywithlogits',
      'softmaxloss',
    ],
    means: ['softmaxCrossEntropy'],
  },
  {
    words: ['bce', 'bceloss', 'bcewithlogits', 'bcewithlogitsloss', 'binarycrossentropy', 'logloss'],
    means: ['sigmoidCrossEntropy'],
  },
  { words: ['sigmoidcrossentropywithlogits', 'logistic'], means: ['sigmoidCrossEntropy', 'sigmoid'] },
  {
    words: ['acc', 'categoricalaccuracy', 'sparsecategoricalaccuracy', 'binaryaccuracy', 'top1'],
    means: ['accuracy'],
  },

  // --- layers
  { words: ['linear', 'fc', 'fullyconnected', 'innerproduct', 'affine', 'nnlinear'], means: ['dense'] },
  { words: ['conv', 'convolution', 'convolution2d', 'convolutional', 'nnconv2d'], means: ['conv2d'] },
  { words: ['conv1d'], means: ['conv1d'], isOwn: true },
  { words: ['conv3d'], means: ['conv3d'], isOwn: true },
  { words: ['maxpool2d', 'maxpooling', 'maxpooling2d', 'pool', 'pooling'], means: ['maxPool'] },
  {
    words: ['avgpool', 'avgpool2d', 'averagepooling', 'averagepooling2d', 'averagepool2d', 'meanpool'],
    means: ['averagePool'],
  },
  {
    words: [
      'globalaveragepooling',
      'globalaveragepooling2d',
      'globalavgpool',
      'globalavgpool2d',
      'globalpool',
      'gap',
    ],
    means: ['globalAveragePool'],
  },
  { words: ['adaptiveavgpool', 'adaptiveavgpool2d', 'adaptiveaveragepool2d'], means: ['globalAveragePool'] },
  {
    words: ['batchnormalization', 'batchnorm1d', 'batchnorm2d', 'bn', 'syncbatchnorm'],
    means: ['batchNorm'],
  },
  { words: ['layernorm', 'layernormalization', 'ln'], means: ['layerNorm'], isOwn: true },
  { words: ['groupnorm', 'groupnormalization'], means: ['groupNorm'], isOwn: true },
  { words: ['relu6'], means: ['relu6'], isOwn: true },
  { words: ['prelu'], means: ['prelu'], isOwn: true },
  { words: ['selu'], means: ['selu'], isOwn: true },
  { words: ['celu'], means: ['celu'], isOwn: true },
  { words: ['silu', 'swish'], means: ['silu'], isOwn: true },
  { words: ['lrelu'], means: ['leakyRelu'] },
  { words: ['flat', 'flattening'], means: ['flatten'] },
  { words: ['residual', 'skip', 'sum', 'addition'], means: ['add'] },
  { words: ['concatenate', 'cat', 'merge'], means: ['concat'] },

  // --- keys of layers
  {
    words: [
      'outfeatures',
      'outputdim',
      'outdim',
      'outputsize',
      'numoutputs',
      'noutputs',
      'outputs',
      'neurons',
      'nodes',
    ],
    means: ['units'],
  },
  {
    words: ['hidden', 'hiddensize', 'hiddenunits', 'hiddendim', 'features', 'size', 'width'],
    means: ['units'],
  },
  {
    words: ['outchannels', 'channels', 'numfilters', 'nfilters', 'filters', 'units'],
    means: ['filters', 'units'],
  },
  {
    words: ['kernelsize', 'kernelshape', 'filtersize', 'poolsize', 'windowsize', 'window', 'ksize'],
    means: ['kernel'],
  },
  { words: ['strides', 'step', 'subsampling'], means: ['stride'] },
  { words: ['pad', 'paddings', 'paddingmode'], means: ['padding'] },
  { words: ['usebias', 'hasbias', 'withbias'], means: ['bias'] },
  {
    words: ['init', 'kernelinitializer', 'weightinitializer', 'weightinit', 'initialization'],
    means: ['initializer'],
  },
  { words: ['p', 'prob', 'probability', 'dropoutrate', 'dropprob', 'droprate'], means: ['rate'] },
  { words: ['negativeslope', 'slope'], means: ['alpha'] },
  { words: ['inputshape', 'inputsize', 'inputdim', 'inshape'], means: ['input'], beside: 'layers' },
  { words: ['blocks', 'modules', 'stack'], means: ['layers'] },
  {
    words: ['activation', 'activationfn', 'nonlinearity', 'act'],
    advice: `an activation is ${layer('relu')}`,
    beside: 'initializer',
  },
  { words: ['dropout'], advice: `dropout is ${layer('dropout')}`, beside: 'initializer' },
  { words: ['batchnorm'], advice: `batch norm is ${layer('batchNorm')}`, beside: 'initializer' },

  // --- initializers
  { words: ['xavier', 'xavieruniform', 'glorotuniform'], means: ['glorotUniform'] },
  { words: ['xaviernormal', 'glorotnormal'], means: ['glorot'] },
  { words: ['kaiming', 'kaiminguniform', 'heuniform'], means: ['heUniform'] },
  { words: ['kaimingnormal', 'henormal'], means: ['he'] },
  { words: ['lecunnormal'], means: ['lecun'] },
  { words: ['normal', 'randomnormal'], means: ['gaussian'] },
  { words: ['randomuniform'], means: ['uniform'] },
  { words: ['zero'], means: ['zeros'] },
];

/** A word without case, `_`, `-` and blanks: Batch_Size and batchSize are one. */
export const plain = (word: string): string => word.toLowerCase().replace(/[\s_-]/g, '');

const rowsByWord = new Map<string, AliasRow[]>();
for (const row of aliasTable) {
  for (const word of row.words) rowsByWord.set(word, [...(rowsByWord.get(word) ?? []), row]);
}

/** What `word` is called here: a word of `valid`, or advice in words; null where nothing here is like it. */
export type Alias = { readonly word: string } | { readonly advice: string } | null;

/** Undefined where the table does not know `word` in this place: it may be misspelt. */
export function aliasOf(word: string, valid: readonly string[]): Alias | undefined {
  const same = valid.find((each) => plain(each) === plain(word));
  if (same !== undefined) return { word: same };
  const rows = (rowsByWord.get(plain(word)) ?? []).filter(
    ({ beside }) => beside === undefined || valid.includes(beside),
  );
  for (const { means = [], advice } of rows) {
    if (advice !== undefined) return { advice };
    const meant = means.find((each) => valid.includes(each));
    if (meant !== undefined) return { word: meant };
  }
  return rows.some(({ isOwn }) => isOwn === true) ? null : undefined;
}

// Makes a failing network smaller while it keeps failing, so that a person can read it.

import type { LayerInput } from '../../src/nn/description.ts';
import type { Network } from './draw-network.ts';

/** The smallest network found for which `fails` is true. */
export function shrink(network: Network, fails: (network: Network) => boolean): Network {
  let smallest = network;
  for (let found = true; found; ) {
    const smaller = smallerOnes(smallest).find(fails);
    found = smaller !== undefined;
    if (smaller !== undefined) smallest = smaller;
  }
  return smallest;
}

function smallerOnes(network: Network): Network[] {
  const { model, batch, shards, clipNorm: _, ...rest } = network;
  const { layers } = model;
  return [
    ...layers.map((_, index) => ({ ...network, model: { ...model, layers: without(layers, index) } })),
    ...(shards > 1
      ? [
          { ...network, shards: 1 },
          { ...network, shards: shards - 1 },
        ]
      : []),
    ...(batch > 1
      ? [
          { ...network, batch: Math.ceil(batch / 2) },
          { ...network, batch: batch - 1 },
        ]
      : []),
    ...(network.samples > batch ? [{ ...network, samples: batch }] : []),
    ...(network.clipNorm === undefined ? [] : [{ ...rest, model, batch, shards }]),
    ...(network.optimizer.type === 'sgd'
      ? []
      : [{ ...network, optimizer: { type: 'sgd' as const, learningRate: 0.1 } }]),
  ];
}

/** Without one layer: its readers read what it read first. */
function without(layers: readonly LayerInput[], index: number): LayerInput[] {
  const gone = layers[index]!;
  const instead = 'inputs' in gone ? gone.inputs[0]! : gone.input!;
  const renamed = (name: string): string => (name === gone.name ? instead : name);
  return layers
    .filter((layer) => layer !== gone)
    .map((layer) =>
      'inputs' in layer
        ? { ...layer, inputs: layer.inputs.map(renamed) }
        : { ...layer, input: renamed(layer.input!) },
    );
}

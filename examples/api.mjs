// Training from a program: describe a model with functions, train it, look at the events and at the hash.
// npm run build && node examples/api.mjs

import { batchNorm, conv2d, dense, flatten, maxPool, relu, sequential, train } from 'lockstep';

const result = await train(
  {
    name: 'api-example',
    data: { kind: 'digits', train: 3000, test: 1000 },
    model: sequential(
      [28, 28, 1],
      [
        conv2d({ filters: 8, kernel: 3, bias: false, initializer: 'he' }),
        batchNorm(),
        relu(),
        maxPool(),
        conv2d({ filters: 16, kernel: 3, bias: false, initializer: 'he' }),
        batchNorm(),
        relu(),
        maxPool(),
        flatten(),
        dense(10),
      ],
    ),
    loss: 'softmaxCrossEntropy',
    optimizer: { type: 'adam', learningRate: 0.003 },
    epochs: 3,
  },
  {
    workers: 0,
    onEvent: (event) => {
      if (event.event === 'evaluation') console.log(`epoch ${event.epoch}`, event.metrics);
    },
  },
);
console.log(`weights SHA-256 ${result.weightsSha256} after ${result.steps} steps`);

// Makes spirals-train.csv and spirals-test.csv: points on three arms of a spiral, for a model to tell apart.
// node examples/data/make-spirals.mjs

import { writeFileSync } from 'node:fs';

let state = 1;

/** Uniform in [low, high): a linear congruential generator is random enough for an example. */
function between(low, high) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return low + ((high - low) * state) / 2 ** 32;
}

function point(_, index) {
  const arm = index % 3;
  const radius = between(0.05, 1);
  const angle = (arm * 2 * Math.PI) / 3 + radius * 4 + between(-0.25, 0.25);
  return `${(radius * Math.cos(angle)).toFixed(4)},${(radius * Math.sin(angle)).toFixed(4)},${arm}`;
}

for (const [name, rows] of [
  ['spirals-train', 1500],
  ['spirals-test', 300],
]) {
  const lines = ['x,y,arm', ...Array.from({ length: rows }, point)];
  writeFileSync(new URL(`${name}.csv`, import.meta.url), `${lines.join('\n')}\n`);
}

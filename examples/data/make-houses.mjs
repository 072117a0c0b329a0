// Makes houses-train.csv and houses-test.csv: invented houses whose price follows a formula, plus noise.
// node examples/data/make-houses.mjs

import { writeFileSync } from 'node:fs';

let state = 1;

/** Uniform in [low, high): a linear congruential generator is random enough for an example. */
function between(low, high) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return low + ((high - low) * state) / 2 ** 32;
}

function house() {
  const area = Math.round(between(30, 250));
  const rooms = Math.max(1, Math.round(area / between(22, 40)));
  const age = Math.round(between(0, 120));
  const distance = Math.round(between(0.5, 30) * 10) / 10;
  const garden = between(0, 1) < 0.4 ? Math.round(between(20, 600)) : 0;
  const worn = age < 80 ? 1 - age / 200 : 0.6 + (age - 80) / 200;
  const near = 0.5 + 3 / (3 + distance);
  const price = (area * 0.02 + rooms * 0.1) * worn * near + Math.sqrt(garden) * 0.02 + between(-0.1, 0.1);
  return [area, rooms, age, distance, garden, Math.max(price, 0.1).toFixed(3)].join(',');
}

for (const [name, rows] of [
  ['houses-train', 1200],
  ['houses-test', 300],
]) {
  const lines = ['area,rooms,age,distance,garden,price', ...Array.from({ length: rows }, house)];
  writeFileSync(new URL(`${name}.csv`, import.meta.url), `${lines.join('\n')}\n`);
}

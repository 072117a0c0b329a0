// npm run test:networks -- [--from S] [--seeds N]: random networks from seed S, without end unless N is given.

import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: { from: { type: 'string', default: '1' }, seeds: { type: 'string', default: 'Infinity' } },
});
const pieceMax = 2000;
const first = Number(values.from);
const end = first + Number(values.seeds);
if (!Number.isInteger(first) || !(end > first)) {
  console.error('--from takes a whole number, --seeds a number above 0');
  process.exit(2);
}
for (let from = first; from < end; from += pieceMax) {
  const count = Math.min(pieceMax, end - from);
  const { status } = spawnSync('npx', ['vitest', 'run', '--project', 'unit', 'test/networks'], {
    stdio: 'inherit',
    env: { ...process.env, LOCKSTEP_NETWORKS: String(count), LOCKSTEP_SEED: String(from) },
  });
  if (status !== 0) process.exit(status ?? 1);
}

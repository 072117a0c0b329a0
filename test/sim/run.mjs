// npm run test:sim -- --seeds N --from S [--trace LINES]: the simulator's tests over these seeds.

import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '2000' },
    from: { type: 'string', default: '1' },
    trace: { type: 'string' },
  },
});
const environment = { LOCKSTEP_SIM_SEEDS: values.seeds, LOCKSTEP_SIM_FROM: values.from };
if (values.trace !== undefined) environment.LOCKSTEP_SIM_TRACE = values.trace;
const { status } = spawnSync('npx', ['vitest', 'run', '--project', 'unit', 'test/sim'], {
  stdio: 'inherit',
  env: { ...process.env, ...environment },
});
process.exit(status ?? 1);

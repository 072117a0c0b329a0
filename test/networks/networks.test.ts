// Random networks: each check of checks.ts on every seed. LOCKSTEP_NETWORKS says how many seeds, LOCKSTEP_SEED the first of
// them; `npm run test:networks` goes on without end. A failure prints the seed and the smallest network that still fails.

import { describe, expect, it } from 'vitest';
import { type Check, checks } from './checks.ts';
import { drawNetwork, type Network } from './draw-network.ts';
import { shrink } from './shrink.ts';

const count = Number(process.env.LOCKSTEP_NETWORKS ?? 1000);
const first = Number(process.env.LOCKSTEP_SEED ?? 1);
const failuresShown = 3;
const timeoutMs = 600_000 + 500 * count;

/** What the check finds, an exception of the product's included. */
function find(check: Check, network: Network, seed: number): string | null {
  try {
    return check(network, seed);
  } catch (error) {
    return `threw ${error instanceof Error ? error.message : String(error)}`;
  }
}

function describeFailure(check: Check, seed: number, wrong: string): string {
  const hasThrown = wrong.startsWith('threw ');
  const fails = (network: Network): boolean => {
    const found = find(check, network, seed);
    // A smaller network may be one that cannot be built: that is another exception.
    return hasThrown ? found === wrong : found !== null && !found.startsWith('threw ');
  };
  const smallest = shrink(drawNetwork(seed), fails);
  return `seed ${seed}: ${wrong}\nsmallest: ${find(check, smallest, seed)}\n${JSON.stringify(smallest)}`;
}

describe(`random networks of seeds ${first} to ${first + count - 1}`, () => {
  it.each(Object.entries(checks))(
    '%s',
    (_, check) => {
      const failures: string[] = [];
      for (let seed = first; seed < first + count && failures.length < failuresShown; seed += 1) {
        const wrong = find(check, drawNetwork(seed), seed);
        if (wrong !== null) failures.push(describeFailure(check, seed, wrong));
      }
      expect(failures).toEqual([]);
    },
    timeoutMs,
  );
});

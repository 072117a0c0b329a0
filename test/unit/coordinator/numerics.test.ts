// Whose bits a run has is fixed by its first membership: worker and coordinator may come and go, nobody with other kernels
// is let in.

import { describe, expect, it } from 'vitest';
import type { CoordinatorEffect } from '../../../coordinator/effects.ts';
import { numericsOf } from '../../../coordinator/run-identity.ts';
import { hello, Story, inShort as sent, sha } from './story.ts';

const other = hello('w2', {
  ...{ fingerprint: 'b'.repeat(64), kernelHashes: { adam: sha, add: 'b'.repeat(64) } },
  ...{ backend: 'reference', variant: 'float32' },
});
const numerics = numericsOf(hello('w1'));
const refused = {
  type: 'refused',
  code: 'LOCKSTEP_FINGERPRINT_MISMATCH',
  message:
    "numerics fingerprint of reference float32 differs from the run's native avx2 in add; give all workers the same --backend",
};

function answer(story: Story, connection: number, greeting: typeof other): CoordinatorEffect {
  story.machine.handle({ is: 'connected', connection, address: '10.0.0.1' });
  return story.say(connection, greeting)[0]!;
}

describe('the numerics of the first membership', () => {
  it('are kept with it, and hold when nobody is connected any more', () => {
    const story = new Story({ workersWanted: 1 });
    expect(story.join(1)[0]).toEqual({
      do: 'journal',
      generation: 1,
      workerIds: ['w1'],
      numerics,
      replayTo: null,
    });
    story.machine.handle({ is: 'closed', connection: 1, why: 'killed' });
    expect(answer(story, 2, other)).toMatchObject({ message: refused });
    expect(story.join(3)[0]).toMatchObject({ do: 'journal', generation: 2, numerics: null });
  });

  it('hold under the next coordinator, whoever dials first', () => {
    const story = new Story({ generation: 7, membersBefore: ['w1'], numerics });
    expect(answer(story, 1, other)).toMatchObject({ message: refused });
    const back = story.join(2, hello('w1', { runId: 'run', generation: 7 }));
    expect(back[0]).toMatchObject({ do: 'journal', generation: 8, numerics: null });
    expect(sent(back)).toContain('membership to 2');
  });

  it('are those of who was there, not of who came first and went', () => {
    const story = new Story({ workersWanted: 1 });
    answer(story, 1, other);
    story.machine.handle({ is: 'closed', connection: 1, why: 'killed' });
    expect(story.join(2, hello('w1'))[0]).toMatchObject({ numerics });
  });
});

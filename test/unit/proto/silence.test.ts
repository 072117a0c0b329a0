// How long a member that has compiled may be silent while the others form with it.

import { expect, it } from 'vitest';
import { limits } from '../../../proto/limits.ts';
import { silenceOnceCompiledMs } from '../../../proto/silence.ts';

it('is as long as connecting may take, longer for many and for a large state, and never above that of a compiling one', () => {
  expect(silenceOnceCompiledMs(3, 0)).toBe(5_450);
  expect(silenceOnceCompiledMs(64, 0)).toBe(14_600);
  expect(silenceOnceCompiledMs(3, 400e6)).toBe(13_450);
  expect(silenceOnceCompiledMs(3, 1e11)).toBe(limits.silenceWhileFormingMs);
});

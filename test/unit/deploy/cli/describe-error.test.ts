// What a person reads when something is thrown.

import { CommanderError } from 'commander';
import { describe, expect, it } from 'vitest';
import { describeError } from '../../../../deploy/cli/describe-error.ts';
import { LockstepError } from '../../../../src/errors.ts';

describe('describeError', () => {
  it('tells a LockstepError in one line, with the exit code of its row', () => {
    expect(
      describeError(new LockstepError('LOCKSTEP_CONNECT_FAILED', 'no answer\n  from there'), false),
    ).toEqual({
      lines: ['error: no answer from there'],
      exitCode: 3,
    });
  });

  it('leaves to commander what commander has told', () => {
    expect(describeError(new CommanderError(1, 'commander.unknownOption', 'x'), false)).toEqual({
      lines: [],
      exitCode: 2,
    });
    expect(describeError(new CommanderError(0, 'commander.helpDisplayed', 'x'), false).exitCode).toBe(0);
  });

  it('asks to report anything else, and keeps the stack for LOCKSTEP_DEBUG', () => {
    const error = new TypeError('x is not a function');
    const { lines, exitCode } = describeError(error, false);
    expect(exitCode).toBe(1);
    expect(lines).toEqual([
      'error: unexpected: x is not a function (this is a bug of Lockstep; run again with LOCKSTEP_DEBUG=1 and report what it prints)',
    ]);
    expect(describeError(error, true).lines[1]).toBe(error.stack);
    expect(describeError('text', false).lines[0]).toMatch(/^error: unexpected: text/);
  });
});

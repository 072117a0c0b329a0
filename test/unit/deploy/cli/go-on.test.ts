// The command that goes on with a stopped run keeps what was typed, but for what the next one has otherwise.

import { expect, it } from 'vitest';
import { goOnCommand } from '../../../../deploy/cli/go-on.ts';

it.each([
  ['lockstep train a.json', 'lockstep train a.json --resume --out runs/a-2'],
  [
    'lockstep train --out b a.json --stop-after 100 --seed 3 --workers 2',
    'lockstep train a.json --seed 3 --workers 2 --resume --out runs/a-2',
  ],
  ['lockstep train a.json --stop-after=9 --resume --out=b', 'lockstep train a.json --resume --out runs/a-2'],
])('%s', (typed, told) => {
  expect(goOnCommand(typed.split(' '), 'runs/a-2')).toBe(told);
});

it('quotes what a shell would take apart', () => {
  expect(goOnCommand(['lockstep', 'train', "it's a.json"], 'my runs')).toBe(
    `lockstep train 'it'\\''s a.json' --resume --out 'my runs'`,
  );
});

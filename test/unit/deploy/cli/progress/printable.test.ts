// Whatever other processes send, people and logs get printable lines, one for each thing that is said.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { describeError } from '../../../../../deploy/cli/describe-error.ts';
import { type DisplayStyle, RunDisplay } from '../../../../../deploy/cli/progress/display.ts';
import { EventLog } from '../../../../../deploy/cli/progress/event-log.ts';
import { ProtocolError } from '../../../../../proto/error.ts';
import type { RunEvent } from '../../../../../src/engine/events.ts';
import { asLockstepError, LockstepError } from '../../../../../src/errors.ts';
import { printable } from '../../../../../src/platform/printable.ts';

const nasty = [
  '\u001b[2J',
  '\u001b]0;x\u0007',
  '\n',
  '\r',
  '\0',
  '\u009b31m',
  '\u202e',
  '\u2028',
  '\ud800',
  '\ufeff',
  'ä',
  '😀',
];
const anyText = fc
  .array(fc.oneof(fc.constantFrom(...nasty), fc.string({ unit: 'binary', maxLength: 4 })), { maxLength: 8 })
  .map((parts) => parts.join(''));
const unprintable = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

const eventsOf = (text: string): RunEvent[] => [
  { event: 'notice', message: `worker ${text} is gone` },
  { event: 'membership', generation: 1, world: 1, wanted: 1, reason: text },
  { event: 'checkpoint', step: 1, path: text },
];

/** What a display writes on both streams together. */
function displayed(style: DisplayStyle, events: readonly RunEvent[]): string {
  const said: string[] = [];
  const stream = { write: (text: string) => said.push(text), columns: 80 } as unknown as NodeJS.WriteStream;
  const display = new RunDisplay({ stdout: stream, stderr: stream }, style, 'lockstep train');
  for (const event of events) display.show(event);
  display.close();
  return said.join('');
}

it('leaves what is printable as it is, and hides nothing else', () => {
  expect(printable('größer 漢字 😀 – a_b')).toBe('größer 漢字 😀 – a_b');
  expect(printable('a\u001b[2Jb\nc')).toBe('a\\u001b[2Jb\\u000ac');
});

it.each<DisplayStyle>(['plain', 'json', 'bar'])(
  'a display (%s) prints lines, one for each event',
  (style) => {
    fc.assert(
      fc.property(anyText, (text) => {
        const [notice] = eventsOf(text);
        const said = displayed(style, [notice!]);
        expect(said.endsWith('\n')).toBe(true);
        const lines = said.slice(0, -1).split('\n');
        expect(lines).toHaveLength(style === 'json' ? 2 : 1);
        for (const line of lines) expect(line).not.toMatch(unprintable);
        for (const line of displayed(style, eventsOf(text)).split('\n'))
          expect(line).not.toMatch(unprintable);
      }),
    );
  },
);

it('an event log is printable, and keeps the values', () => {
  const directory = mkdtempSync(join(tmpdir(), 'lockstep-log-'));
  try {
    fc.assert(
      fc.property(anyText, (text) => {
        const log = new EventLog(directory, false);
        for (const event of eventsOf(text)) log.write(event);
        log.close();
        const lines = readFileSync(log.path, 'utf8').trimEnd().split('\n');
        for (const line of lines) expect(line).not.toMatch(unprintable);
        expect(lines.map((line) => JSON.parse(line))).toEqual(eventsOf(text));
      }),
      { numRuns: 50 },
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
});

it('errors are one printable line, ours, of the protocol, and any other', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const thrown = [
        new LockstepError('LOCKSTEP_PEER_LOST', `worker ${text}`),
        asLockstepError(new ProtocolError('refused', text)),
        asLockstepError(new Error(text)),
        new Error(text),
        text,
      ];
      for (const error of thrown) {
        if (error instanceof LockstepError) expect(error.message).not.toMatch(unprintable);
        for (const debug of [false, true]) {
          const lines = describeError(error, debug).lines.flatMap((line) => line.split('\n'));
          expect(lines.length === 1 || debug).toBe(true);
          for (const line of lines) expect(line).not.toMatch(unprintable);
        }
      }
    }),
  );
});

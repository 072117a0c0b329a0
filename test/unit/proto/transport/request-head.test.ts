// The head of a request: what is one and what is not, and nothing that comes breaks the reader.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseRequestHead } from '../../../../proto/transport/request-head.ts';

const parse = (text: string) => parseRequestHead(Buffer.from(text, 'latin1'));

it('reads the line and the fields', () => {
  const head = parse('GET /a/b?c=d HTTP/1.1\r\nHost: x\r\nX-One:1 \r\nx-one:\t2');
  expect(head).toEqual({
    method: 'GET',
    path: '/a/b',
    headers: new Map([
      ['host', 'x'],
      ['x-one', '1, 2'],
    ]),
  });
  expect(parse('GET / HTTP/1.1')?.headers.size).toBe(0);
});

it.each([
  ['nothing', ''],
  ['another version', 'GET / HTTP/1.0'],
  ['no path', 'GET HTTP/1.1'],
  ['a whole address', 'GET http://x/ HTTP/1.1'],
  ['a folded line', 'GET / HTTP/1.1\r\na: b\r\n c'],
  ['a field without a name', 'GET / HTTP/1.1\r\n: b'],
  ['a space before the colon', 'GET / HTTP/1.1\r\na : b'],
  ['a control character', 'GET / HTTP/1.1\r\na: b\0c'],
  ['a lone line feed', 'GET / HTTP/1.1\na: b'],
])('refuses %s', (_what, text) => {
  expect(parse(text)).toBeNull();
});

const good = 'GET /lockstep HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nsec-websocket-version: 13';

it('takes any bytes, and gives names and values without control characters', () => {
  const mutated = fc
    .array(fc.record({ at: fc.nat(good.length), byte: fc.nat(255), cut: fc.nat(3) }), { maxLength: 8 })
    .map((changes) =>
      changes.reduce(
        (bytes, { at, byte, cut }) =>
          Buffer.concat([bytes.subarray(0, at), Buffer.from([byte]), bytes.subarray(at + cut)]),
        Buffer.from(good, 'latin1'),
      ),
    );
  fc.assert(
    fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 300 })), (bytes) => {
      const head = parseRequestHead(bytes);
      if (head === null) return;
      expect(head.method).toMatch(/^[A-Z]+$/);
      expect(head.path).toMatch(/^\/[!-~]*$/);
      for (const [name, value] of head.headers) {
        expect(name).toMatch(/^[!-~]+$/);
        expect(value).toMatch(/^[\t -~\x80-\xff]*$/);
      }
    }),
    { numRuns: 5_000 },
  );
});

// parseJson: the same values as JSON.parse, and for what it refuses the line, the column and the reason.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { JsonSyntaxError, parseJson } from '../../../src/config/json-syntax.ts';

function faultOf(text: string): string {
  try {
    parseJson(text);
  } catch (error) {
    if (error instanceof JsonSyntaxError) return `${error.line}:${error.column}: ${error.message}`;
    throw error;
  }
  return 'no fault';
}

test('takes what JSON.parse takes', () => {
  fc.assert(
    fc.property(fc.json(), fc.constantFrom(0, 1, 2), (text, indent) => {
      const document = JSON.stringify(JSON.parse(text), null, indent);
      expect(parseJson(document)).toEqual(JSON.parse(document));
    }),
  );
  expect(parseJson('\ufeff{"a": "\\u00e9\\n", "b": -0.5e+3}')).toEqual({ a: 'é\n', b: -500 });
});

test('refuses what JSON.parse refuses', () => {
  const characters = [...'{}[]",:0.e-+tnul\\ \n'];
  const text = fc.array(fc.constantFrom(...characters), { maxLength: 12 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(text, (document) => {
      let valid = true;
      try {
        JSON.parse(document);
      } catch {
        valid = false;
      }
      const fault = faultOf(document);
      expect(fault === 'no fault' || fault.includes('is there twice')).toBe(valid);
    }),
    { numRuns: 5000 },
  );
});

test.each([
  ['{\n  "a": 1,\n  "b": 2,\n}', '4:1: a comma may not stand before }'],
  ['{"a": 1 "b": 2}', '1:9: expected , or }, found "\\""'],
  ['{a: 1}', '1:2: expected a key in double quotes, found "a"'],
  ['{"a" 1}', '1:6: expected : after the key, found "1"'],
  ["{'a': 1}", '1:2: expected a key in double quotes, found "\'"'],
  ['{"a": True}', '1:7: expected a value, found True'],
  ['{"a": 1', '1:8: expected , or }, found the end of the file'],
  ['', '1:1: expected a value, found the end of the file'],
  ['{"a": 01}', '1:8: expected , or }, found "1"'],
  ['{"a": .5}', '1:7: expected a value, found "."'],
  ['{\n// note\n}', '2:1: JSON has no comments; use a module with defineConfig to have them'],
  ['{"a": 1,\n "a": 2}', '2:2: the key "a" is there twice'],
  ['{} x', '1:4: nothing may follow the value, found "x"'],
  [`${'['.repeat(300)}`, '1:202: nested deeper than 200'],
  ['["a\nb"]', '1:2: this is not a string: it ends on its line, and \\ stands only before one of "\\/bfnrtu'],
])('%j', (text, fault) => {
  expect(faultOf(text)).toBe(fault);
});

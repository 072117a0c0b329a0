// What zod found wrong, as one line a user can act on: path, what is wrong there, the nearest valid word, what is allowed.
// Only the worst issue is told, with a count of the others. Pure; used for every JSON document that users write.

import type { z } from 'zod';
import { aliasOf } from './aliases.ts';
import { nearestWord } from './nearest.ts';
import { keysAt, valueAt } from './schema-keys.ts';

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

/** `model.layers[3].kernel`; the document itself is ''. */
export function formatPath(path: Path): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    const plain = /^[\w$]+$/.test(String(key));
    return plain ? (text ? `${text}.${String(key)}` : String(key)) : `${text}[${JSON.stringify(key)}]`;
  }, '');
}

const article = (noun: string): string => (/^[aeiou]/.test(noun) ? `an ${noun}` : `a ${noun}`);

const textLengthMax = 60;

/** A value as JSON, short enough for a message; what JSON has no text for by its type. */
export function show(value: unknown): string {
  if (typeof value === 'number' || value === undefined) return String(value);
  const text = jsonOf(value) ?? article(typeof value);
  return text.length > textLengthMax ? `${text.slice(0, textLengthMax - 3)}...` : text;
}

/** Null for a function, a symbol, a bigint, and an object that contains itself or throws. */
function jsonOf(value: unknown): string | null {
  try {
    return JSON.stringify(value) ?? null;
  } catch {
    return null;
  }
}

/** Values of a literal or an enumeration: "a", "b" or "c". */
function oneOf(values: readonly unknown[]): string {
  const texts = values.map(show);
  return texts.length < 2 ? texts.join('') : `${texts.slice(0, -1).join(', ')} or ${texts.at(-1)}`;
}

const typeNames: Readonly<Record<string, string>> = {
  int: 'integer',
  record: 'object',
  tuple: 'array',
  boolean: 'true or false',
};

function expectedType(expected: string): string {
  const noun = typeNames[expected] ?? expected;
  return noun.includes(' ') ? noun : article(noun);
}

/** Lower = worse = told first. A misspelt key is the cause of the missing one, so it comes before it. */
const severities: Readonly<Record<string, number>> = { unrecognized_keys: 0, custom: 2 };
const severity = (issue: Issue): number => severities[issue.code] ?? 1;

function worst(issues: readonly Issue[]): Issue {
  return issues.reduce((best, issue) => (severity(issue) < severity(best) ? issue : best), issues[0]!);
}

/** How far the input is from a branch of a union, by the branch's issues. */
function distance(issues: readonly Issue[]): number {
  const rootType = issues.some((issue) => issue.path.length === 0 && issue.code === 'invalid_type');
  const tag = issues.some(
    (issue) => issue.code === 'invalid_value' && /^(type|kind)$/.test(String(issue.path.at(-1))),
  );
  const word = issues.some((issue) => issue.path.length === 0 && issue.code === 'invalid_value');
  return (rootType ? 1000 : 0) + (word ? 500 : 0) + (tag ? 100 : 0) + issues.length;
}

/** What values a branch would take, where its only issue is at its root. */
function expectation(issues: readonly Issue[]): { types: string[]; values: unknown[] } {
  const issue = issues.find((candidate) => candidate.path.length === 0);
  if (issue?.code === 'invalid_type') return { types: [expectedType(issue.expected)], values: [] };
  if (issue?.code === 'invalid_value') return { types: [], values: [...issue.values] };
  if (issue?.code === 'invalid_union') return merged(issue.errors);
  return { types: [], values: [] };
}

function merged(errors: readonly (readonly Issue[])[]): { types: string[]; values: unknown[] } {
  const all = errors.map(expectation);
  const types = [...new Set(all.flatMap((one) => one.types))];
  const values = all.flatMap((one) => one.values);
  return { types: values.length > 0 ? types.filter((type) => type !== 'a string') : types, values };
}

/** What to write in place of `word`: the valid word it means or was misspelt from; null where there is none. */
function remedyFor(word: string, valid: readonly string[]): string | null {
  const alias = aliasOf(word, valid);
  if (alias !== undefined && alias !== null && 'advice' in alias) return alias.advice;
  const meant = alias === undefined ? nearestWord(word, valid) : alias?.word;
  return typeof meant === 'string' ? `did you mean ${show(meant)}?` : null;
}

function unknownValue(value: unknown, values: readonly unknown[], types: readonly string[]): string {
  if (value === undefined) return `missing; expected ${oneOf(values)}`;
  const words = values.filter((word) => typeof word === 'string');
  const remedy = typeof value === 'string' ? remedyFor(value, words) : null;
  const hint = remedy === null ? '' : `; ${remedy}`;
  const others = types.length > 0 ? `, or ${types.join(' or ')}` : '';
  return `${show(value)} is not valid here${hint}${hint ? ' Expected' : '; expected'} ${oneOf(values)}${others}`;
}

function wrongType(value: unknown, expected: string): string {
  return value === undefined ? `missing; expected ${expected}` : `expected ${expected}, got ${show(value)}`;
}

function bound(issue: Extract<Issue, { code: 'too_small' | 'too_big' }>, value: unknown): string {
  const low = issue.code === 'too_small';
  const limit = String(low ? issue.minimum : issue.maximum);
  if (issue.origin === 'array') {
    const count = Array.isArray(value) ? value.length : 0;
    return `must have at ${low ? 'least' : 'most'} ${limit} element${limit === '1' ? '' : 's'}, has ${count}`;
  }
  const relation = issue.inclusive ? `at ${low ? 'least' : 'most'}` : low ? 'greater than' : 'less than';
  return `must be ${relation} ${limit}, got ${show(value)}`;
}

interface Told {
  readonly path: Path;
  readonly what: string;
}

function tell(issue: Issue, before: Path, schema: z.ZodType, input: unknown): Told {
  const path = [...before, ...issue.path];
  const value = valueAt(input, path);
  switch (issue.code) {
    case 'unrecognized_keys': {
      const key = issue.keys[0]!;
      const valid = keysAt(schema, input, path);
      const hint = remedyFor(key, valid) ?? `valid keys here are ${valid.map(show).join(', ')}`;
      return { path: [...path, key], what: `unknown key; ${hint}` };
    }
    case 'invalid_union': {
      if (issue.errors.length === 0) return { path, what: unknownValue(value, tags(issue), []) };
      const nearest = issue.errors.reduce((best, other) => (distance(other) < distance(best) ? other : best));
      if (distance(nearest) < 100) return tell(worst(nearest), path, schema, input);
      const { types, values } = merged(issue.errors);
      if (values.length > 0) return { path, what: unknownValue(value, values, types) };
      if (types.length > 0) return { path, what: wrongType(value, types.join(' or ')) };
      return tell(worst(nearest), path, schema, input);
    }
    case 'invalid_value':
      return { path, what: unknownValue(value, issue.values, []) };
    case 'invalid_type':
      return { path, what: wrongType(value, expectedType(issue.expected)) };
    case 'too_small':
    case 'too_big':
      return { path, what: bound(issue, value) };
    default:
      return { path, what: issue.code === 'custom' ? issue.message : `${issue.message}, got ${show(value)}` };
  }
}

/** The words a discriminated union knows. */
function tags(issue: Issue): readonly unknown[] {
  return 'options' in issue && Array.isArray(issue.options) ? issue.options : [];
}

/** `source: path: what is wrong (and N more)`, for the worst of `issues` that `schema` found in `input`; '' is no source. */
export function explainIssues(
  issues: readonly Issue[],
  schema: z.ZodType,
  input: unknown,
  source = '',
): string {
  const told = tell(worst(issues), [], schema, input);
  const count = issues.reduce(
    (sum, issue) => sum + (issue.code === 'unrecognized_keys' ? issue.keys.length : 1),
    0,
  );
  const where = [source, formatPath(told.path)].filter((part) => part !== '').join(': ');
  return `${where}: ${told.what}${count > 1 ? ` (and ${count - 1} more)` : ''}`;
}

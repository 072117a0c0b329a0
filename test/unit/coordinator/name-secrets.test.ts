// Names of workers: whose a name is, and what proves it.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { NameSecrets, newNameKey } from '../../../coordinator/name-secrets.ts';

const key = newNameKey();
const hello = (workerId: string, nameSecret = '', runId = '') => ({ workerId, nameSecret, runId });

it('a new name is free until its worker has its welcome; then it takes the secret', () => {
  const names = new NameSecrets(key, 'run', []);
  expect(names.refusalOf(hello('a'))).toBeNull();
  // The welcome was lost: it is asked for again.
  expect(names.refusalOf(hello('a'))).toBeNull();
  names.own('a');
  expect(names.refusalOf(hello('a'))).toMatchObject({ type: 'refused', code: 'LOCKSTEP_UNAUTHORIZED' });
  expect(names.refusalOf(hello('a', names.secretOf('a'), 'run'))).toBeNull();
  expect(names.refusalOf(hello('b'))).toBeNull();
});

it('the next coordinator knows names and secrets; one of another key does not', () => {
  const secret = new NameSecrets(key, 'run', []).secretOf('a');
  const next = new NameSecrets(key, 'run', ['a']);
  expect(next.refusalOf(hello('a', '', 'run'))).not.toBeNull();
  expect(next.refusalOf(hello('a', secret, 'run'))).toBeNull();
  expect(new NameSecrets(newNameKey(), 'run', ['a']).refusalOf(hello('a', secret, 'run'))).not.toBeNull();
});

it('leaves who comes from another run to be told that', () => {
  expect(new NameSecrets(key, 'run', ['a']).refusalOf(hello('a', '', 'other'))).toBeNull();
});

it('no other text proves a name', () => {
  const names = new NameSecrets(key, 'run', ['a']);
  const other = fc.oneof(fc.string({ maxLength: 64, unit: 'binary' }), fc.constant(names.secretOf('b')));
  fc.assert(
    fc.property(other, (secret) => {
      fc.pre(secret !== names.secretOf('a'));
      expect(names.refusalOf(hello('a', secret))).not.toBeNull();
      if (secret !== '') expect(names.refusalOf(hello('free', secret))).not.toBeNull();
    }),
  );
});

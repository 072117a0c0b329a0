// Values of options: what is taken, what is refused and how that is said.

import { InvalidArgumentError } from 'commander';
import { describe, expect, it } from 'vitest';
import { address, dialledAddress, integer, joinUrl, path } from '../../../../deploy/cli/options.ts';

describe('integer', () => {
  it.each([
    ['0', 0],
    ['12', 12],
    ['+3', 3],
  ])('takes %s', (text, value) => expect(integer(0, 12)(text)).toBe(value));

  it.each(['-1', '13', '1.5', '1e1', '0x2', '', ' 1', 'two'])('refuses %j', (text) => {
    expect(() => integer(0, 12)(text)).toThrow(
      new InvalidArgumentError('It must be a whole number from 0 to 12.'),
    );
  });
});

describe('address', () => {
  it.each([
    ['127.0.0.1:7070', { host: '127.0.0.1', port: 7070 }],
    ['worker-3.cluster:1', { host: 'worker-3.cluster', port: 1 }],
    ['[::1]:7070', { host: '::1', port: 7070 }],
    ['0.0.0.0', { host: '0.0.0.0', port: 0 }],
  ])('takes %s', (text, value) => expect(address(text)).toEqual(value));

  const none = ['', ':7070', '1.2.3.4:70000', 'ws://a:1', 'a:b', '::1:7070'];
  const noHosts = [
    '7070',
    '99999',
    '1.2.3:1',
    '1.2.3.400:1',
    '0x7f000001:1',
    '[::g]:1',
    '[1:2]:3',
    'a b:1',
    'a%41:1',
    'a@b:1',
  ];
  it.each([...none, ...noHosts])('refuses %j', (text) => {
    expect(() => address(text)).toThrow(InvalidArgumentError);
  });
});

describe('path', () => {
  it('is anything but nothing', () => {
    expect(path(' ')).toBe(' ');
    expect(() => path('')).toThrow(InvalidArgumentError);
  });
});

describe('dialledAddress', () => {
  it.each([
    ['192.0.2.8:30071', { host: '192.0.2.8', port: 30_071 }],
    ['node-3', { host: 'node-3', port: 0 }],
    ['Worker_1.svc:80', { host: 'Worker_1.svc', port: 80 }],
    ['[2001:db8::]', { host: '2001:db8::', port: 0 }],
    ['[2001:db8::7]:1', { host: '2001:db8::7', port: 1 }],
  ])('takes %s', (text, value) => expect(dialledAddress(text)).toEqual(value));

  it.each(['1.2.3.4:0', '[::1]:00000'])('says of %j what it must be', (text) => {
    expect(() => dialledAddress(text)).toThrow(/port 0: it must be HOST:PORT, or HOST where/);
  });

  it.each(['', '99999', '0.0.0.0:7071', '[::]:7071', '[0:0::0]:1', `${'a'.repeat(256)}:1`, 'ws://a:1'])(
    'refuses %j',
    (text) => {
      expect(() => dialledAddress(text)).toThrow(InvalidArgumentError);
    },
  );
});

describe('joinUrl', () => {
  it.each([
    ['ws://127.0.0.1:7070', 'ws://127.0.0.1:7070'],
    ['127.0.0.1:7070', 'ws://127.0.0.1:7070'],
    ['https://host:443/', 'wss://host:443'],
    ['http://host:7070', 'ws://host:7070'],
  ])('takes %s', (text, value) => expect(joinUrl(text)).toBe(value));

  it.each(['', 'host', 'ws://host:0', 'ftp://host:1', 'ws://user:secret@host:1', 'ws://host:1/?token=x'])(
    'refuses %j',
    (text) => {
      expect(() => joinUrl(text)).toThrow(InvalidArgumentError);
    },
  );
});

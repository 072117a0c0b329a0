// The URL that a coordinator prints can be dialled, from other machines too where it listens for them.

import type { NetworkInterfaceInfo } from 'node:os';
import { describe, expect, it } from 'vitest';
import { joinUrlOf } from '../../../../deploy/cli/join-url.ts';

const one = (address: string, internal = false): NetworkInterfaceInfo => ({
  address,
  internal,
  netmask: '',
  mac: '',
  cidr: null,
  ...(address.includes(':') ? { family: 'IPv6', scopeid: 0 } : { family: 'IPv4' }),
});
const machine = {
  lo: [one('127.0.0.1', true), one('::1', true)],
  docker0: [one('172.17.0.1')],
  eth0: [one('fe80::1'), one('2001:db8::7'), one('10.0.0.5')],
};

describe('joinUrlOf', () => {
  it.each([
    ['0.0.0.0', machine, 'ws://10.0.0.5:7070'],
    ['::', machine, 'ws://10.0.0.5:7070'],
    ['::', { eth0: [one('2001:db8::7')] }, 'ws://[2001:db8::7]:7070'],
    ['0.0.0.0', { docker0: [one('172.17.0.1')], lo: machine.lo }, 'ws://172.17.0.1:7070'],
    ['0.0.0.0', { lo: machine.lo, eth0: [one('2001:db8::7'), one('169.254.3.4')] }, 'ws://127.0.0.1:7070'],
  ])('of any address, %s, is that of one of them', (host, interfaces, url) => {
    expect(joinUrlOf('ws', { host, port: 7070 }, interfaces)).toEqual({ url, isAny: true });
  });

  it.each([
    ['node-3', 'wss://node-3:1'],
    ['::1', 'wss://[::1]:1'],
    ['10.0.0.9', 'wss://10.0.0.9:1'],
  ])('of %s is that', (host, url) => {
    expect(joinUrlOf('wss', { host, port: 1 }, machine)).toEqual({ url, isAny: false });
  });
});

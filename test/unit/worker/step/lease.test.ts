// Leases: what is learned of steps, its floor and ceiling, and that a stopped process has waited for nothing.

import { describe, expect, it } from 'vitest';
import { leaseLimits, ShardLease, Waiting } from '../../../../worker/step/lease.ts';

const { multiple, floorMs, ceilingMs, remembered } = leaseLimits;

describe('a lease', () => {
  it('is as long as can be while nothing is known', () => {
    expect(new ShardLease().ms(4)).toBe(ceilingMs);
  });

  it('is a multiple of the slowest of the recent steps, by shards', () => {
    const lease = new ShardLease();
    for (const ms of [800, 2_000, 1_000]) lease.took(ms, 2);
    expect(lease.ms(2)).toBe(multiple * 2_000);
    expect(lease.ms(3)).toBe(multiple * 3_000);
  });

  it('forgets what was long ago', () => {
    const lease = new ShardLease();
    lease.took(20_000, 1);
    for (let i = 0; i < remembered; i += 1) lease.took(1_000, 1);
    expect(lease.ms(1)).toBe(multiple * 1_000);
  });

  it('has a floor and a ceiling', () => {
    const lease = new ShardLease();
    lease.took(1, 1);
    expect(lease.ms(1)).toBe(floorMs);
    lease.took(ceilingMs, 1);
    expect(lease.ms(1)).toBe(ceilingMs);
  });

  it('leaves the others time for what was done besides', () => {
    const lease = new ShardLease();
    lease.took(1_000, 1);
    expect(lease.ms(1, 4_000)).toBe(multiple * 5_000);
  });
});

describe('waiting', () => {
  it('counts the time between looks, and begins anew when something came', () => {
    const waiting = new Waiting(0, 500);
    expect([250, 500, 700].map((nowMs) => waiting.look(nowMs))).toEqual([250, 500, 700]);
    waiting.restart(800);
    expect(waiting.look(1_000)).toBe(200);
  });

  it('counts little of a time in which nobody looked', () => {
    const waiting = new Waiting(0, 500);
    waiting.look(250);
    expect(waiting.look(60_250)).toBe(750);
  });
});

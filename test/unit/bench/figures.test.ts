// From what processes of the benches print to figures.

import { describe, expect, it } from 'vitest';
import { type KernelResult, kernelsTable } from '../../../bench/kernels/report.ts';
import { limitsOfLines, machinePeak } from '../../../bench/limits/limits.ts';
import { peersOf } from '../../../bench/peers/commands.ts';
import { type PeerRound, peerResults } from '../../../bench/peers/report.ts';
import { jsonLines, numberOf } from '../../../bench/processes/json-lines.ts';
import { steadyRate, stepRates } from '../../../bench/steps/events.ts';

describe('lines of a process', () => {
  it('are the JSON objects among them', () => {
    expect(jsonLines('warning\n{"a":1}\n{broken\n\n{"b":2}\n')).toEqual([{ a: 1 }, { b: 2 }]);
  });

  it('must have the numbers asked for', () => {
    expect(numberOf({ ms: 2 }, 'ms')).toBe(2);
    expect(() => numberOf({ ms: null }, 'ms')).toThrow('no number "ms"');
  });
});

describe('limits', () => {
  const lines = [
    { limit: 'fma', isa: 'avx2', threads: 1, gflopsPerCore: 100 },
    { limit: 'fma', isa: 'avx2', threads: 2, gflopsPerCore: 90 },
    { limit: 'fma', isa: 'simd128', threads: 1, gflopsPerCore: 50 },
    { limit: 'fma', isa: 'simd128', threads: 2, gflopsPerCore: 45 },
    { limit: 'copy', threads: 1, gigabytesPerSecond: 9 },
    { limit: 'copy', threads: 2, gigabytesPerSecond: 12 },
  ];
  const rest = { loopback: { gigabytesPerSecond: 4, roundTripMs: 0.1 }, notice: null };

  it('come from the lines of the C program', () => {
    expect(limitsOfLines(lines)).toEqual({
      peaks: { avx2: { one: 100, two: 90 }, simd128: { one: 50, two: 45 } },
      copy: { one: 9, two: 12 },
    });
    expect(limitsOfLines([])).toEqual({ peaks: {}, copy: null });
  });

  it('give the peak of the widest vectors there are, on one core and on two at once', () => {
    const limits = { ...limitsOfLines(lines), ...rest };
    expect(machinePeak(limits, 1)).toBe(100);
    expect(machinePeak(limits, 2)).toBe(180);
    expect(machinePeak({ peaks: {}, copy: null, ...rest }, 1)).toBeNull();
  });
});

describe('whole steps', () => {
  it('are rated by the median of the steps after the warm-up', () => {
    const event = (samplesPerSecond: number): string =>
      `{"event":"step","samplesPerSecond":${samplesPerSecond}}\n`;
    const text = `{"event":"start"}\n${[1, 2, 300, 100, 200].map(event).join('')}{"event":"checkpoint"}\n`;
    expect(stepRates(text)).toEqual([1, 2, 300, 100, 200]);
    expect(steadyRate(stepRates(text), 2)).toBe(200);
    expect(steadyRate([1, 2], 2)).toBeNaN();
  });
});

describe('kernels', () => {
  it('have a row a shape and columns for each instruction set', () => {
    const result = (variant: string, shape: string, gflops: number): KernelResult => ({
      workload: 'w1',
      variant,
      kernel: 'denseForward',
      shape,
      ms: 1,
      gflops,
      peakShare: gflops / 100,
    });
    const table = kernelsTable([
      result('avx512', 'a', 80),
      result('avx512', 'b', 70),
      result('avx2', 'a', 60),
    ]);
    const rows = table.split('\n').map((line) => line.split(/ {2,}/).filter((cell) => cell !== ''));
    expect(rows[1]).toEqual(['w1', 'denseForward', 'a', '80.0', '80', '60.0', '60']);
    expect(rows[2]).toEqual(['w1', 'denseForward', 'b', '70.0', '70']);
  });
});

describe('peers', () => {
  it('of W3 are channels last too, and both batch norms', () => {
    const peers = peersOf('peers', 'python3', 'W3', 64);
    expect(
      peers.map(({ kind, localBatchNorm, command }) => [kind, localBatchNorm, command.args.slice(1)]),
    ).toEqual([
      ['single', false, ['--threads', '1', '--only', 'W3:64']],
      ['single', false, ['--threads', '2', '--only', 'W3:64']],
      ['single', false, ['--threads', '2', '--channels-last', '--only', 'W3:64']],
      ['pair', true, ['--procs', '2', '--only', 'W3:64']],
      ['pair', false, ['--procs', '2', '--syncbn']],
    ]);
    expect(peersOf('peers', 'python3', 'W4', 256)).toHaveLength(3);
  });

  it('are compared round by round, and the fastest of each cluster is marked', () => {
    const round = (peer: string, ours: number, theirs: number): PeerRound => ({
      workload: 'w4',
      cluster: '1 worker',
      peer,
      localBatchNorm: false,
      ours,
      theirs,
    });
    // The machine is half as fast in the second round: the ratio does not move.
    const rounds = [
      round('slow', 100, 25),
      round('fast', 100, 50),
      round('slow', 50, 12.5),
      round('fast', 50, 25),
    ];
    expect(
      peerResults(rounds).map(({ peer, ours, theirs, ratio, best }) => [peer, ours, theirs, ratio, best]),
    ).toEqual([
      ['slow', 75, 18.75, 4, false],
      ['fast', 75, 37.5, 2, true],
    ]);
  });
});

// What a control group's file cache gives back, from the files of both versions of control groups.

import { expect, it } from 'vitest';
import { machineMemory, reclaimableBytes } from '../../../src/platform/machine-memory.ts';

const reader = (files: Readonly<Record<string, string>>) => (path: string) => files[path] ?? null;

it.each([
  [
    'version 2',
    {
      '/proc/self/cgroup': '0::/user.slice/run-1\n',
      '/sys/fs/cgroup/user.slice/run-1/memory.stat': 'anon 5\nfile 90\nactive_file 30\ninactive_file 12\n',
    },
    42,
  ],
  [
    'version 2 in a container',
    { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/memory.stat': 'inactive_file 7\nactive_file 1\n' },
    8,
  ],
  [
    'version 1, with the groups below',
    {
      '/proc/self/cgroup': '5:cpu,cpuacct:/a\n4:memory:/b/c\n0::/\n',
      '/sys/fs/cgroup/memory/b/c/memory.stat':
        'inactive_file 1\nactive_file 2\ntotal_inactive_file 10\ntotal_active_file 20\n',
    },
    30,
  ],
  ['nothing', {}, 0],
] as const)('%s', (_, files, bytes) => {
  expect(reclaimableBytes(reader(files))).toBe(bytes);
});

it('this machine has memory', () => {
  const { totalBytes, availableBytes, bufferBytesMax } = machineMemory();
  expect(availableBytes).toBeGreaterThan(0);
  expect(availableBytes).toBeLessThanOrEqual(totalBytes);
  expect(bufferBytesMax).toBeGreaterThan(2 ** 30);
});

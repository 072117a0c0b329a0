// Measures this machine's limits (I/O): compiles limits.c into a temporary folder, and talks to a process over loopback.

import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../src/platform/package-root.ts';
import { runForLines } from '../processes/run.ts';
import { median } from '../report/statistics.ts';
import { type Limits, limitsOfLines } from './limits.ts';

const loopbackBytes = 512 * 1024 * 1024;
/** The best stretch of so many bytes counts. */
const windowBytes = 64 * 1024 * 1024;
const roundTrips = 2000;

export async function measureLimits(): Promise<Limits> {
  const { lines, notice } = await measureInC();
  return { ...limitsOfLines(lines), loopback: await measureLoopback(), notice };
}

async function measureInC(): Promise<{ lines: Record<string, unknown>[]; notice: string | null }> {
  const directory = mkdtempSync(join(tmpdir(), 'lockstep-limits-'));
  const program = join(directory, 'limits');
  const source = join(packageRoot(), 'bench/limits/limits.c');
  const compiler = process.env.CC || 'cc';
  try {
    await runForLines({ file: compiler, args: ['-O2', '-std=gnu11', '-pthread', '-o', program, source] });
    const fma = await runForLines({ file: program, args: ['fma'] });
    const copy = await runForLines({ file: program, args: ['copy'] });
    return { lines: [...fma, ...copy], notice: null };
  } catch (error) {
    return { lines: [], notice: `FMA peak and memory copy are not measured: ${(error as Error).message}` };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** This process receives; loopback-peer.ts sends, then answers single bytes. */
async function measureLoopback(): Promise<Limits['loopback']> {
  const server = createServer({ noDelay: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const connected = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const { port } = server.address() as AddressInfo;
  const peer = fork(join(packageRoot(), 'dist/bench/limits/loopback-peer.js'), [
    `${port}`,
    `${loopbackBytes}`,
  ]);
  try {
    const socket = await connected;
    const bytesPerSecond = await receive(socket, loopbackBytes);
    const roundTripMs = await bounce(socket);
    socket.destroy();
    return { gigabytesPerSecond: bytesPerSecond / 1e9, roundTripMs };
  } finally {
    peer.kill();
    server.close();
  }
}

/** Bytes a second of the best window. */
function receive(socket: Socket, bytes: number): Promise<number> {
  return new Promise((resolve) => {
    let received = 0;
    let best = 0;
    let window = { startedMs: performance.now(), from: 0 };
    const take = (chunk: Buffer): void => {
      received += chunk.length;
      const now = performance.now();
      if (received - window.from >= windowBytes) {
        best = Math.max(best, (1000 * (received - window.from)) / (now - window.startedMs));
        window = { startedMs: now, from: received };
      }
      if (received < bytes) return;
      socket.off('data', take);
      resolve(best);
    };
    socket.on('data', take);
  });
}

async function bounce(socket: Socket): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < roundTrips; i += 1) {
    const before = performance.now();
    const answered = new Promise((resolve) => socket.once('data', resolve));
    socket.write('.');
    await answered;
    times.push(performance.now() - before);
  }
  return median(times);
}

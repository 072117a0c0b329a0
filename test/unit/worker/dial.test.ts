// A worker's way to its coordinator: what a proxy says while the coordinator is away, or any other program that does not have
// the token, is not the last word; what the coordinator says is.

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { newResponse, requestOf, responseHeaders } from '../../../proto/transport/handshake.ts';
import { Token } from '../../../proto/transport/token.ts';
import { dialFirst } from '../../../worker/dial.ts';

const token = Token.generate();

let server: Server | null = null;
afterEach(() => server?.close());

/** Answers upgrades with these statuses, one after another, the last one for good and with a proof; gives its address. */
async function answering(statuses: readonly number[]): Promise<{ url: URL; asked: () => number }> {
  let asked = 0;
  server = createServer();
  server.on('upgrade', (request, stream) => {
    const status = statuses[Math.min(asked, statuses.length - 1)]!;
    asked += 1;
    const headers = new Map(Object.entries(request.headers as Record<string, string>));
    const isLast = asked >= statuses.length;
    const proof = isLast
      ? responseHeaders(token, requestOf(request.url!, headers)!, newResponse(status))
      : {};
    const lines = Object.entries(proof).map(([name, value]) => `${name}: ${value}\r\n`);
    stream.end(`HTTP/1.1 ${status} x\r\nconnection: close\r\ncontent-length: 0\r\n${lines.join('')}\r\n`);
  });
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
  return { url: new URL(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`), asked: () => asked };
}

const dialled = (url: URL, waitMs: number, told: string[]): Promise<unknown> =>
  dialFirst(
    { url, token, tls: undefined, insecure: false },
    { waitMs, ending: new AbortController().signal, onWait: (why) => told.push(why) },
  );

it('asks again behind a proxy that finds nobody, or of a program that proves nothing, and says so once', async () => {
  const { url, asked } = await answering([502, 503, 504, 401, 403, 426, 200, 426]);
  const told: string[] = [];
  await expect(dialled(url, 30_000, told)).rejects.toMatchObject({ code: 'LOCKSTEP_VERSION_MISMATCH' });
  expect(asked()).toBe(8);
  expect(told).toEqual([
    expect.stringContaining('status 502: a proxy finds nobody behind it: is the coordinator'),
  ]);
});

it('does so for no longer than it would wait', async () => {
  const { url } = await answering([503]);
  await expect(dialled(url, 120, [])).rejects.toMatchObject({
    code: 'LOCKSTEP_CONNECT_FAILED',
    message: expect.stringContaining('status 503'),
  });
});

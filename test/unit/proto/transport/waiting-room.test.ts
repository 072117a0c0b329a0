// The room of sockets that have not become WebSockets: who has to go when it is full. Real sockets of two addresses.

import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { platform } from 'node:os';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { limits } from '../../../../proto/limits.ts';
import { WaitingRoom } from '../../../../proto/transport/waiting-room.ts';

let server: Server;
let room: WaitingRoom;
let sockets: Socket[] = [];
let accepted = 0;

beforeEach(async () => {
  room = new WaitingRoom();
  accepted = 0;
  server = createServer((socket) => {
    socket.on('error', () => undefined);
    sockets.push(socket);
    room.enter(socket);
    accepted += 1;
    server.emit('entered');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  sockets = [];
  server.close();
});

/** A socket from this address, when it has entered. */
async function enter(from: string): Promise<Socket> {
  const before = accepted;
  const { port } = server.address() as { port: number };
  const socket = connect({ host: '127.0.0.1', port, localAddress: from });
  socket.on('error', () => undefined);
  sockets.push(socket);
  while (accepted === before) await once(server, 'entered');
  return socket;
}

const closed = (socket: Socket): Promise<unknown> => {
  const gone = once(socket, 'close');
  socket.resume();
  return gone;
};

// Only Linux answers on the whole of 127.0.0.0/8 by itself.
it.skipIf(platform() !== 'linux')('makes room at the cost of the host that has the most', async () => {
  const lonely = await enter('127.0.0.2');
  const crowd: Socket[] = [];
  while (crowd.length < limits.pendingSocketsMax - 1) crowd.push(await enter('127.0.0.1'));
  const [first, second, third] = crowd;
  let thirdIsGone = false;
  third!.once('close', () => {
    thirdIsGone = true;
  });
  const gone = Promise.all([closed(first!), closed(second!)]);
  await enter('127.0.0.1');
  await enter('127.0.0.3');
  await gone;
  expect(lonely.readyState).toBe('open');
  expect(thirdIsGone).toBe(false);
});

it('keeps a socket that was let in', async () => {
  const member = await enter('127.0.0.1');
  const inside = sockets.find((socket) => socket !== member && socket.remotePort === member.localPort)!;
  room.leave(inside);
  const crowd: Socket[] = [];
  while (crowd.length < limits.pendingSocketsMax) crowd.push(await enter('127.0.0.1'));
  const gone = closed(crowd[0]!);
  await enter('127.0.0.1');
  await gone;
  expect(inside.destroyed).toBe(false);
});

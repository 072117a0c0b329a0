// Strangers without a token in a process of their own. Usage: attackers.mjs PORT, forked. Told a kind
// it attacks so until it is told to stop; then it says how many connections came to their end and what that cost it.
//   crowd: 1,000 connections that say nothing and 500 handshakes that drip, each dialled again when it is cut
//   storm: 64 that ask with a wrong token and come again as soon as they are refused

import { connect } from 'node:net';
import { coordinatorPath, protocolVersion, roleHeader, versionHeader } from '../../dist/proto/version.js';

const port = Number(process.argv[2]);
const strangers = 1_000;
const slowHandshakes = 500;
const dripMs = 250;
const stormers = 64;

const request = Buffer.from(
  [
    `GET ${coordinatorPath} HTTP/1.1`,
    'host: x',
    'connection: Upgrade',
    'upgrade: websocket',
    'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
    'sec-websocket-version: 13',
    `authorization: Bearer ${'0'.repeat(64)}`,
    `${roleHeader}: worker`,
    `${versionHeader}: ${protocolVersion}`,
    '',
    '',
  ].join('\r\n'),
);
const sockets = new Set();
let attacking = false;
let ended = 0;
let cpu = process.cpuUsage();

/** A connection; `again` when it has ended, as long as the attack lasts. */
function dial(again) {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined).resume();
  sockets.add(socket);
  socket.once('close', () => {
    sockets.delete(socket);
    ended += 1;
    if (attacking) setImmediate(again);
  });
  return socket;
}

const kinds = {
  crowd() {
    const silent = () => void dial(silent);
    const drip = () => {
      const socket = dial(drip);
      let at = 0;
      const timer = setInterval(() => {
        socket.write(request.subarray(at, at + 1));
        at += 1;
      }, dripMs);
      socket.once('close', () => clearInterval(timer));
    };
    for (let i = 0; i < strangers; i += 1) silent();
    for (let i = 0; i < slowHandshakes; i += 1) drip();
  },
  storm() {
    const ask = () => void dial(ask).write(request);
    for (let i = 0; i < stormers; i += 1) ask();
  },
};

process.on('message', (kind) => {
  if (kind in kinds) {
    attacking = true;
    ended = 0;
    cpu = process.cpuUsage();
    kinds[kind]();
    return;
  }
  attacking = false;
  const { user, system } = process.cpuUsage(cpu);
  const told = { ended, cpuSeconds: (user + system) / 1e6 };
  for (const socket of sockets) socket.destroy();
  setImmediate(() => process.send(told));
});
process.on('disconnect', () => process.exit());
process.send('here');

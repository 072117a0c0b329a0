// Strangers without a token in a process of their own, against a port of loopback. Usage: attackers.mjs PORT [tls], forked.
// Told a kind it attacks so until it is told to stop; then it says how many connections came to their end and what that cost
// it. A connection that ends is dialled again, in every kind.

import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import {
  coordinatorPath,
  nonceHeader,
  protocolVersion,
  roleHeader,
  versionHeader,
} from '../../dist/proto/version.js';

const port = Number(process.argv[2]);
const hasTls = process.argv[3] === 'tls';
const strangers = 1_000;
const slowHandshakes = 500;
const dripMs = 250;
const stormers = 64;
const idlers = 400;
const floods = 4;

const upgrade = Buffer.from(
  [
    `GET ${coordinatorPath} HTTP/1.1`,
    'host: x',
    'connection: Upgrade',
    'upgrade: websocket',
    'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
    'sec-websocket-version: 13',
    `${roleHeader}: worker`,
    `${versionHeader}: ${protocolVersion}`,
    `${nonceHeader}: ${'0'.repeat(64)}`,
    '',
    '',
  ].join('\r\n'),
);
const plain = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n';
const sockets = new Set();
let attacking = false;
let ended = 0;
let cpu = process.cpuUsage();

/** A connection, with TLS where the port has it; `again` when it has ended, as long as the attack lasts. */
function dial(again, { reads = true, raw = !hasTls, allowHalfOpen = false } = {}) {
  const options = { port, host: '127.0.0.1', rejectUnauthorized: false, allowHalfOpen };
  const socket = raw ? connect(options) : connectTls(options);
  socket.on('error', () => undefined);
  if (reads) socket.resume();
  sockets.add(socket);
  socket.once('close', () => {
    sockets.delete(socket);
    ended += 1;
    if (attacking) setImmediate(again);
  });
  return socket;
}

/** Writes `block` again and again, as fast as it is taken, behind `first`. */
function flood(block, { first = '', raw } = {}) {
  const again = () => {
    const socket = dial(again, { reads: false, raw });
    const pump = () => {
      while (!socket.destroyed && attacking && socket.write(block));
    };
    socket.once('connect', () => {
      socket.write(first);
      pump();
    });
    socket.on('drain', pump);
  };
  return again;
}

const times = (count, action) => {
  for (let i = 0; i < count; i += 1) action();
};

const kinds = {
  /** 1,000 connections that say nothing and 500 handshakes that drip. */
  crowd() {
    const silent = () => void dial(silent);
    const drip = () => {
      const socket = dial(drip);
      let at = 0;
      const timer = setInterval(() => {
        socket.write(upgrade.subarray(at, at + 1));
        at += 1;
      }, dripMs);
      socket.once('close', () => clearInterval(timer));
    };
    times(strangers, silent);
    times(slowHandshakes, drip);
  },
  /** 64 that ask, prove nothing, and come again as soon as they are refused: every second one asks for a wrong role. */
  storm() {
    const wrong = Buffer.from(upgrade.toString().replace(': worker', ': nobody'));
    const ask = () => void dial(ask).write(wrong);
    const challenge = () => {
      const socket = dial(challenge);
      socket.write(upgrade);
      socket.once('data', () => socket.write(Buffer.alloc(38)));
    };
    times(stormers / 2, ask);
    times(stormers / 2, challenge);
  },
  /** 400 connections that say nothing. */
  idle() {
    const silent = () => void dial(silent, { raw: true });
    times(idlers, silent);
  },
  /** 4 that send whole requests without end, and read no answer. */
  pipelined() {
    times(floods, flood(plain.repeat(2_500)));
  },
  /** The same with upgrades. */
  upgrades() {
    times(floods, flood(Buffer.concat(Array.from({ length: 200 }, () => upgrade))));
  },
  /** 4 that send one header after another without end. */
  endless() {
    times(floods, flood('a: b\r\n'.repeat(10_000), { first: plain.slice(0, -2) }));
  },
  /** 4 that send a request with a body without end. */
  bodies() {
    const first = `POST ${coordinatorPath} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000000\r\n\r\n`;
    times(floods, flood('x'.repeat(65_536), { first }));
  },
  /** 64 that end their side at once, half of them after a request. */
  halfOpen() {
    let which = 0;
    const half = () => {
      which += 1;
      dial(half, { raw: true, allowHalfOpen: true }).end(which % 2 === 0 ? upgrade : '');
    };
    times(stormers, half);
  },
  /** 16 that send bytes without end that are neither TLS nor HTTP. */
  garbage() {
    // It begins as a handshake of TLS does, so that a listener of TLS waits for more of it.
    times(4 * floods, flood(Buffer.alloc(65_536, 0x16), { first: '\x16\x03\x01\x40\x00\x01', raw: true }));
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

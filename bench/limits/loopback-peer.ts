// The other end of the loopback measurement (I/O): sends so many bytes, then answers what comes.
// Usage: loopback-peer PORT BYTES

import { connect } from 'node:net';

const [port, bytes] = process.argv.slice(2).map(Number);
const chunk = new Uint8Array(1024 * 1024);
const socket = connect({ port: port!, host: '127.0.0.1', noDelay: true });
let left = bytes!;

function send(): void {
  while (left > 0) {
    left -= chunk.length;
    if (!socket.write(chunk) && left > 0) {
      socket.once('drain', send);
      return;
    }
  }
  socket.on('data', (data) => void socket.write(data));
}

socket.once('connect', send);
socket.on('error', () => process.exit(1));
socket.on('close', () => process.exit(0));

// Proof that both ends of a connection have the token, in both directions, without sending it: docs/handshake.md. Each proof is
// an HMAC-SHA256 keyed by the token over everything both ends said, with two fresh nonces. A recorded proof is therefore of no
// use later, and neither is a proof of one end, purpose, version or run to another.

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import {
  nonceHeader,
  proofHeader,
  protocolVersion,
  roleHeader,
  runHeader,
  versionHeader,
} from '../version.ts';
import type { Token } from './token.ts';

/** What the dialler said in its request. */
export interface Request {
  /** The purpose: a coordinator's path or a worker's. */
  readonly path: string;
  /** As in the headers, whatever they say. */
  readonly version: string;
  readonly role: string;
  readonly run: string;
  readonly nonce: string;
}

/** What the listener said in its answer. */
export interface Response {
  readonly status: number;
  readonly version: string;
  readonly nonce: string;
}

const nonceForm = /^[0-9a-f]{64}$/;
const proofForm = /^[0-9a-f]{64}$/;

export const newNonce = (): string => randomBytes(32).toString('hex');

export function requestHeaders({ version, role, run, nonce }: Request): Record<string, string> {
  return { [versionHeader]: version, [roleHeader]: role, [runHeader]: run, [nonceHeader]: nonce };
}

/** Null where the dialler's nonce is none: it gets no proof. */
export function requestOf(path: string, headers: ReadonlyMap<string, string>): Request | null {
  const nonce = headers.get(nonceHeader) ?? '';
  if (!nonceForm.test(nonce)) return null;
  const header = (name: string): string => headers.get(name) ?? '';
  return { path, version: header(versionHeader), role: header(roleHeader), run: header(runHeader), nonce };
}

function proof(token: Token, by: 'dialler' | 'listener', request: Request, response: Response): Buffer {
  const { path, version, role, run, nonce } = request;
  const said = [path, version, role, run, nonce, response.status, response.version, response.nonce];
  return createHmac('sha256', token.key)
    .update(JSON.stringify(['lockstep handshake', by, ...said]))
    .digest();
}

/** The header fields by which a listener proves itself in its answer. */
export function responseHeaders(token: Token, request: Request, response: Response): Record<string, string> {
  return {
    [versionHeader]: response.version,
    [nonceHeader]: response.nonce,
    [proofHeader]: proof(token, 'listener', request, response).toString('hex'),
  };
}

export function newResponse(status: number): Response {
  return { status, version: String(protocolVersion), nonce: newNonce() };
}

/** What the listener said, where its answer proves that it has the token; else null. */
export function provenResponse(
  token: Token,
  request: Request,
  status: number,
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
): Response | null {
  const [version, nonce, given] = [versionHeader, nonceHeader, proofHeader].map((name) => headers[name]);
  if (typeof version !== 'string' || typeof nonce !== 'string' || !nonceForm.test(nonce)) return null;
  if (typeof given !== 'string' || !proofForm.test(given)) return null;
  const response = { status, version, nonce };
  const expected = proof(token, 'listener', request, response);
  return timingSafeEqual(Buffer.from(given, 'hex'), expected) ? response : null;
}

/** The first message of the dialler once it is let in: a binary frame of these bytes. */
export function diallerProof(token: Token, request: Request, response: Response): Buffer {
  return proof(token, 'dialler', request, response);
}

/** Of a binary frame of 32 bytes with the masking key zero (RFC 6455, 5.2). */
const frameStart = Buffer.from([0x82, 0x80 | 32, 0, 0, 0, 0]);
export const diallerProofFrameBytes = frameStart.length + 32;

/** Whether `frame` is that first message. No WebSocket code looks at it. */
export function isDiallerProof(
  frame: Uint8Array,
  token: Token,
  request: Request,
  response: Response,
): boolean {
  const expected = Buffer.concat([frameStart, diallerProof(token, request, response)]);
  return frame.length === expected.length && timingSafeEqual(frame, expected);
}

// The 256-bit secret that lets a process into a run: made, read from the environment or a file (I/O). It never shows itself:
// printing, JSON and inspection give a placeholder, and it is the key of proofs (handshake.ts), which never goes over a wire.

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { ProtocolError } from '../error.ts';

export const tokenVariable = 'LOCKSTEP_TOKEN';

const tokenForm = /^[0-9a-f]{64}$/;
const shown = '[token]';

export class Token {
  readonly #value: string;

  private constructor(value: string) {
    this.#value = value;
  }

  static generate(): Token {
    return new Token(randomBytes(32).toString('hex'));
  }

  /** 64 hexadecimal digits, white space around them allowed. Throws ProtocolError `token`, naming `source` only. */
  static parse(value: string, source: string): Token {
    const trimmed = value.trim().toLowerCase();
    if (!tokenForm.test(trimmed))
      throw new ProtocolError('token', `the token in ${source} must be 64 hexadecimal digits`);
    return new Token(trimmed);
  }

  /** From the file if one is named, else from the variable LOCKSTEP_TOKEN; null where there is neither. */
  static read(options: { file?: string | undefined; environment: NodeJS.ProcessEnv }): Token | null {
    if (options.file !== undefined) {
      let content: string;
      try {
        content = readFileSync(options.file, 'utf8');
      } catch {
        throw new ProtocolError('token', `cannot read the token file ${options.file}`);
      }
      return Token.parse(content, options.file);
    }
    const value = options.environment[tokenVariable];
    return value === undefined || value === '' ? null : Token.parse(value, tokenVariable);
  }

  /** The secret itself: for the environment of a child process or a token file, nothing else. */
  reveal(): string {
    return this.#value;
  }

  /** For handshake.ts, nothing else. */
  get key(): Buffer {
    return Buffer.from(this.#value, 'hex');
  }

  toString(): string {
    return shown;
  }

  toJSON(): string {
    return shown;
  }

  [inspect.custom](): string {
    return shown;
  }
}

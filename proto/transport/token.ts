// The 256-bit secret that lets a process into a run: made, read from the environment or a file (I/O), compared in
// constant time. It never shows itself: printing, JSON and inspection give a placeholder.

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { ProtocolError } from '../error.ts';

export const tokenVariable = 'LOCKSTEP_TOKEN';

const tokenForm = /^[0-9a-f]{64}$/;
const shown = '[token]';

const digest = (value: string): Buffer => createHash('sha256').update(value).digest();

export class Token {
  readonly #value: string;
  readonly #digest: Buffer;

  private constructor(value: string) {
    this.#value = value;
    this.#digest = digest(value);
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

  /** Value of the authorization header of a client. */
  get authorization(): string {
    return `Bearer ${this.#value}`;
  }

  /** Whether an authorization header carries this token, in time that does not depend on what it carries. */
  matches(authorization: string | undefined): boolean {
    const given = authorization ?? '';
    const isBearer = /^Bearer /i.test(given);
    const equal = timingSafeEqual(digest(isBearer ? given.slice(7) : ''), this.#digest);
    return isBearer && equal;
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

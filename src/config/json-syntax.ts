// Strict JSON with the line and column of what is wrong, and with duplicate keys refused, which JSON.parse silently
// overwrites. Pure. JSON.parse gives the values; the walk here only looks for the first fault.

export class JsonSyntaxError extends Error {
  readonly line: number;
  readonly column: number;

  constructor(message: string, text: string, offset: number) {
    super(message);
    this.name = 'JsonSyntaxError';
    const lines = text.slice(0, offset).split('\n');
    this.line = lines.length;
    this.column = (lines.at(-1)?.length ?? 0) + 1;
  }
}

/** Deeper than any config; keeps the walk from exhausting the stack. */
const depthMax = 200;
const numberPattern = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids exactly these in strings
const stringPattern = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const wordPattern = /[A-Za-z_$][\w$]*/y;

class Walk {
  readonly #text: string;
  #offset = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): void {
    this.#value(0);
    this.#space();
    if (this.#offset < this.#text.length) this.#fail(`nothing may follow the value, found ${this.#found()}`);
  }

  #value(depth: number): void {
    this.#space();
    const start = this.#text[this.#offset];
    if (depth > depthMax) this.#fail(`nested deeper than ${depthMax}`);
    if (start === '{') this.#members('}', depth, new Set());
    else if (start === '[') this.#members(']', depth, null);
    else if (start === '"') this.#string();
    else if (start !== undefined && /[-\d]/.test(start)) this.#match(numberPattern, 'a number');
    else this.#word();
  }

  /** An object when `keys` is a set, else an array. */
  #members(close: string, depth: number, keys: Set<string> | null): void {
    this.#offset += 1;
    this.#space();
    if (this.#take(close)) return;
    do {
      this.#space();
      if (this.#text[this.#offset] === close) this.#fail(`a comma may not stand before ${close}`);
      if (keys) this.#key(keys);
      this.#value(depth + 1);
      this.#space();
    } while (this.#take(','));
    if (!this.#take(close)) this.#fail(`expected , or ${close}, found ${this.#found()}`);
  }

  #key(keys: Set<string>): void {
    if (this.#text[this.#offset] !== '"')
      this.#fail(`expected a key in double quotes, found ${this.#found()}`);
    const start = this.#offset;
    const key = JSON.parse(this.#string()) as string;
    if (keys.has(key)) {
      this.#offset = start;
      this.#fail(`the key ${JSON.stringify(key)} is there twice`);
    }
    keys.add(key);
    this.#space();
    if (!this.#take(':')) this.#fail(`expected : after the key, found ${this.#found()}`);
  }

  #string(): string {
    return this.#match(
      stringPattern,
      'a string: it ends on its line, and \\ stands only before one of "\\/bfnrtu',
    );
  }

  #word(): void {
    const start = this.#offset;
    wordPattern.lastIndex = start;
    const word = wordPattern.exec(this.#text)?.[0];
    if (word === undefined) this.#fail(`expected a value, found ${this.#found()}`);
    if (!['true', 'false', 'null'].includes(word)) this.#fail(`expected a value, found ${word}`);
    this.#offset += word.length;
  }

  #match(pattern: RegExp, what: string): string {
    pattern.lastIndex = this.#offset;
    const text = pattern.exec(this.#text)?.[0];
    if (text === undefined) this.#fail(`this is not ${what}`);
    this.#offset += text.length;
    return text;
  }

  #take(character: string): boolean {
    if (this.#text[this.#offset] !== character) return false;
    this.#offset += 1;
    return true;
  }

  #space(): void {
    while (/[ \t\n\r]/.test(this.#text[this.#offset] ?? '')) this.#offset += 1;
    const comment = this.#text.startsWith('//', this.#offset) || this.#text.startsWith('/*', this.#offset);
    if (comment) this.#fail('JSON has no comments; use a module with defineConfig to have them');
  }

  #found(): string {
    const character = this.#text[this.#offset];
    return character === undefined ? 'the end of the file' : JSON.stringify(character);
  }

  #fail(message: string): never {
    throw new JsonSyntaxError(message, this.#text, this.#offset);
  }
}

/** The value of `text`; a byte order mark is ignored. Throws JsonSyntaxError. */
export function parseJson(text: string): unknown {
  const body = text.startsWith('\ufeff') ? text.slice(1) : text;
  new Walk(body).document();
  return JSON.parse(body);
}

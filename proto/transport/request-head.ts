// The head of an HTTP request (RFC 9112): the request line and the header fields. Strict, because a listener reads one
// head of a few kilobytes from each connection and nothing else. Pure.

export interface RequestHead {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** By name in lower case; the values of a repeated name are joined by commas, as the RFC says. */
  readonly headers: ReadonlyMap<string, string>;
}

const requestLine = /^([A-Z]{1,20}) (\/[!-~]*) HTTP\/1\.1$/;
const headerLine = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*)$/;

/** The empty line that ends a head. */
export const headEnd = '\r\n\r\n';

/** `bytes` up to the empty line, without it. Null where it is not the head of an HTTP/1.1 request. */
export function parseRequestHead(bytes: Uint8Array): RequestHead | null {
  const [first = '', ...lines] = Buffer.from(bytes).toString('latin1').split('\r\n');
  const request = requestLine.exec(first);
  if (request === null) return null;
  const headers = new Map<string, string>();
  for (const line of lines) {
    const header = headerLine.exec(line);
    if (header === null) return null;
    const name = header[1]!.toLowerCase();
    const value = header[2]!.trimEnd();
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return { method: request[1]!, path: request[2]!.split('?', 1)[0]!, headers };
}

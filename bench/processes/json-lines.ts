// What child processes of the benches print: one JSON object a line, other lines passed over. Pure.

/** The objects among the lines of `text`. */
export function jsonLines(text: string): Record<string, unknown>[] {
  return text.split('\n').flatMap((line) => {
    if (!line.startsWith('{')) return [];
    try {
      return [JSON.parse(line) as Record<string, unknown>];
    } catch {
      return [];
    }
  });
}

/** A field that must be a finite number. */
export function numberOf(record: Record<string, unknown>, field: string): number {
  const value = record[field];
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw new Error(`no number "${field}" in ${JSON.stringify(record)}`);
}

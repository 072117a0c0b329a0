// Text tables of the benches. Pure.

/** A cell: text is set to the left, numbers to the right with the digits their column asks for; null is empty. */
export type Cell = string | number | null;

export interface Column {
  readonly title: string;
  /** Digits behind the point; 0 unless given. */
  readonly digits?: number;
}

/** Lines under a head, columns two blanks apart. */
export function formatTable(columns: readonly Column[], rows: readonly (readonly Cell[])[]): string {
  const text = rows.map((row) => columns.map((column, i) => cellText(row[i] ?? null, column)));
  const isNumber = columns.map((_, i) => rows.every((row) => typeof (row[i] ?? null) !== 'string'));
  const widths = columns.map(({ title }, i) => Math.max(title.length, ...text.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (isNumber[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join('  ')
      .trimEnd();
  return [columns.map(({ title }) => title), ...text].map((cells) => `${line(cells)}\n`).join('');
}

function cellText(cell: Cell, { digits = 0 }: Column): string {
  if (cell === null) return '';
  return typeof cell === 'number' ? cell.toFixed(digits) : cell;
}

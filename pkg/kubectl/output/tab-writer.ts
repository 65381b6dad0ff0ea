/** Aligns cells in columns as Go's text/tabwriter does with kubectl's settings: blocks of lines that have the column. */

const MIN_WIDTH = 6;
const PADDING = 3;

type Rows = readonly (readonly string[])[];

export interface TabOptions {
  readonly minWidth?: number;
  readonly padding?: number;
  /** Widths that columns have at least, for rows that continue a table. */
  readonly floor?: readonly number[];
}

/** Lines of the cells, each row ended with a newline. The last cell of a row is not padded. */
export function aligned(rows: Rows, options: TabOptions = {}): string {
  const columns = Math.max(0, ...rows.map((row) => row.length)) - 1;
  const widths = Array.from({ length: Math.max(columns, 0) }, (_, column) =>
    widthsOfColumn(rows, { column, ...options }),
  );
  return rows.map((row, at) => `${lineOf(row, (column) => widths[column]?.[at] ?? 0)}\n`).join('');
}

/** The widths of the columns of rows that are all of one table. */
export function columnWidths(rows: Rows): readonly number[] {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  return Array.from({ length: columns }, (_, column) =>
    Math.max(MIN_WIDTH, ...rows.map((row) => lengthOf(row[column] ?? '') + PADDING)),
  );
}

/** For each row the width of one column: as wide as its widest cell in the lines around that have it too. */
function widthsOfColumn(
  rows: Rows,
  { column, minWidth = MIN_WIDTH, padding = PADDING, floor = [] }: TabOptions & { column: number },
): readonly number[] {
  const widths: number[] = [];
  for (let from = 0; from < rows.length; ) {
    const next = rows.findIndex((row, at) => at >= from && row.length - 1 <= column);
    const to = next < 0 ? rows.length : next;
    const lengths = rows.slice(from, to).map((row) => lengthOf(row[column] ?? '') + padding);
    const width = Math.max(minWidth, floor[column] ?? 0, ...lengths);
    widths.push(...lengths.map(() => width), 0);
    from = to + 1;
  }
  return widths;
}

function lineOf(row: readonly string[], widthOf: (column: number) => number): string {
  return row
    .map((cell, column) =>
      column === row.length - 1
        ? cell
        : cell + ' '.repeat(Math.max(widthOf(column) - lengthOf(cell), 0)),
    )
    .join('');
}

function lengthOf(text: string): number {
  return [...text].length;
}

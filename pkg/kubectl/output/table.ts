/** Tables that the server sends (meta.k8s.io/v1), as kubectl prints them. */

import type { ApiObject } from '../../api/meta.ts';
import { aligned, columnWidths } from './tab-writer.ts';

/** What to ask the server for. */
export const TABLE_ACCEPT =
  'application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json';

interface Row {
  readonly cells: readonly unknown[];
  readonly object?: ApiObject;
}

interface ColumnDefinition {
  readonly name: string;
  readonly format?: string;
  readonly priority?: number;
}

export interface Table {
  readonly kind: string;
  readonly columnDefinitions?: readonly ColumnDefinition[];
  readonly rows?: readonly Row[];
  readonly metadata?: { readonly continue?: string; readonly resourceVersion?: string };
}

export interface TableOptions {
  readonly isWide?: boolean;
  readonly hasHeaders?: boolean;
  readonly hasNamespace?: boolean;
  readonly hasLabels?: boolean;
  readonly labelColumns?: readonly string[];
  /** Set before names, such as `pod/`. */
  readonly prefix?: string;
}

/** A table as rows of text, the headers first when they are wanted. */
function tableRows(
  { columnDefinitions = [], rows = [] }: Pick<Table, 'columnDefinitions' | 'rows'>,
  options: TableOptions,
): readonly (readonly string[])[] {
  const { isWide = false, hasHeaders = true, hasNamespace, hasLabels, labelColumns = [] } = options;
  const shown = [...columnDefinitions.entries()].filter(
    ([, { priority = 0 }]) => isWide || priority === 0,
  );
  const header = [
    ...(hasNamespace ? ['NAMESPACE'] : []),
    ...shown.map(([, { name }]) => name.toUpperCase()),
    ...labelColumns.map((name) => name.split('/').at(-1)?.toUpperCase() ?? ''),
    ...(hasLabels ? ['LABELS'] : []),
  ];
  const body = rows.map(({ cells, object }) => [
    ...(hasNamespace ? [object?.metadata.namespace ?? ''] : []),
    ...shown.map(([index, { format }]) => cellText(cells[index], format, options)),
    ...labelColumns.map((name) => object?.metadata.labels?.[name] ?? ''),
    ...(hasLabels ? [labelText(object?.metadata.labels)] : []),
  ]);
  return hasHeaders ? [header, ...body] : body;
}

/** Prints a table that is complete. */
export function tableText(table: Table, options: TableOptions): string {
  return aligned(tableRows(table, options));
}

/** Prints tables whose rows come bit by bit, the columns as wide as they have become. */
export class TableStream {
  readonly #options: TableOptions;
  #definitions: readonly ColumnDefinition[] = [];
  #widths: readonly number[] = [];
  #hasHeaders: boolean;

  constructor(options: TableOptions) {
    this.#options = options;
    this.#hasHeaders = options.hasHeaders ?? true;
  }

  /** The text of further rows; `first` stands in a column of its own before each, under its header. */
  print(table: Table, first?: { readonly header: string; readonly cell: string }): string {
    if (table.columnDefinitions?.length) this.#definitions = table.columnDefinitions;
    const options = { ...this.#options, hasHeaders: this.#hasHeaders };
    const whole = { columnDefinitions: this.#definitions, rows: table.rows ?? [] };
    if (whole.rows.length === 0) return '';
    const rows = tableRows(whole, options).map((row, index) =>
      first ? [this.#hasHeaders && index === 0 ? first.header : first.cell, ...row] : row,
    );
    this.#hasHeaders = false;
    const widths = columnWidths(rows);
    this.#widths = widths.map((width, column) => Math.max(width, this.#widths[column] ?? 0));
    return aligned(rows, { floor: this.#widths });
  }
}

function cellText(
  value: unknown,
  format: string | undefined,
  { prefix = '' }: TableOptions,
): string {
  if (value === null || value === undefined) return '<none>';
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  const line = /[\n\r]/.test(text) ? `${text.slice(0, text.search(/[\n\r]/))}...` : text;
  return format === 'name' ? prefix + line : line;
}

function labelText(labels: Readonly<Record<string, string>> | undefined): string {
  const pairs = Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`);
  return pairs.length === 0 ? '<none>' : pairs.sort().join(',');
}

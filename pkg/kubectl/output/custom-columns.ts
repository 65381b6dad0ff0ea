/** `-o custom-columns=NAME:.metadata.name,…`: one row an object, `<none>` for what is not there. */

import { KubectlError } from '../kubectl-error.ts';
import { valuesAt, valueText } from './json-path.ts';
import { parsePath, type Step } from './json-path-parser.ts';
import { aligned } from './tab-writer.ts';

interface CustomColumn {
  readonly header: string;
  readonly steps: readonly Step[];
}

/** Prints objects by a specification of columns. Throws a KubectlError on one that it cannot read. */
export function customColumns(
  spec: string,
  { hasHeaders }: { readonly hasHeaders: boolean },
): (objects: readonly unknown[]) => string {
  const columns = splitColumns(spec).map(parseColumn);
  return (objects) =>
    aligned([
      ...(hasHeaders ? [columns.map(({ header }) => header)] : []),
      ...objects.map((object) => columns.map(({ steps }) => cell(steps, object))),
    ]);
}

/** Splits at commas that stand outside of brackets. */
function splitColumns(spec: string): readonly string[] {
  if (spec === '')
    throw new KubectlError('custom-columns format specified but no custom columns given');
  return spec.split(/,(?![^[]*\])/);
}

function parseColumn(text: string): CustomColumn {
  const colon = text.indexOf(':');
  if (colon < 0)
    throw new KubectlError(
      `unexpected custom-columns spec: ${text}, expected <header>:<json-path-expr>`,
    );
  return { header: text.slice(0, colon), steps: relaxedPath(text.slice(colon + 1)) };
}

/** A path with or without braces, with or without its first dot. */
export function relaxedPath(text: string): readonly Step[] {
  const inner = /^\{(.*)\}$/s.exec(text)?.[1] ?? text;
  return parsePath(/^[.[$@]/.test(inner) ? inner : `.${inner}`);
}

function cell(steps: readonly Step[], object: unknown): string {
  const values = valuesAt(steps, object).filter((value) => value !== null);
  return values.length === 0 ? '<none>' : values.map(goText).join(',');
}

/** Objects print as Go prints maps. */
function goText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(goText).join(' ')}]`;
  if (typeof value !== 'object' || value === null) return valueText(value);
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `map[${fields.map(([key, field]) => `${key}:${goText(field)}`).join(' ')}]`;
}

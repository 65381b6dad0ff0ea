/** YAML of JSON values as Go's yaml.v2 writes it, on which kubectl's output rests: keys in its order, its quotes. */

import { isObject } from '../../api/json.ts';
import { compareKeys } from './yaml-keys.ts';
import { type Position, scalarText } from './yaml-scalar.ts';

const INDENT = '  ';

/** The text of `-o yaml`, with the final newline. */
export function yamlText(value: unknown): string {
  if (isScalar(value)) return `${scalarText(value, { column: 0, indent: INDENT })}\n`;
  return lines(value, '').join('');
}

function isScalar(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  return !isObject(value) || Object.keys(value).length === 0;
}

/** A list or mapping that is not empty; every line with its indent but the first, which the caller has begun. */
function lines(value: unknown, indent: string): string[] {
  if (Array.isArray(value)) return value.map((item) => `${indent}- ${itemText(item, indent)}`);
  if (!isObject(value)) return [];
  return Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .sort(([a], [b]) => compareKeys(a, b))
    .map(([key, field]) => {
      const name = `${indent}${scalarText(key, { column: indent.length, indent, isKey: true })}:`;
      return `${name}${fieldText(field, { column: name.length + 1, indent })}`;
    });
}

/** What follows `- `: a nested block begins on the same line. */
function itemText(value: unknown, indent: string): string {
  const deeper = indent + INDENT;
  if (isScalar(value)) return `${scalarText(value, { column: deeper.length, indent: deeper })}\n`;
  return lines(value, deeper).join('').slice(deeper.length);
}

/** What follows `key:`; lists stand at the indent of their key. */
function fieldText(value: unknown, { column, indent }: Position): string {
  if (isScalar(value)) return ` ${scalarText(value, { column, indent: indent + INDENT })}\n`;
  const block = lines(value, Array.isArray(value) ? indent : indent + INDENT);
  return `\n${block.join('')}`;
}

/** JSON as kubectl prints it: four spaces, sorted keys, and Go's escapes. */

import { isObject } from '../../api/json.ts';

/** The text of `-o json`, with the final newline. */
export function jsonText(value: unknown): string {
  return `${escaped(JSON.stringify(sorted(value), null, 4))}\n`;
}

/** On one line, as jsonpath prints objects. */
export function compactJson(value: unknown): string {
  return escaped(JSON.stringify(sorted(value)));
}

const ESCAPES: Readonly<Record<string, string>> = {
  '<': '\\u003c',
  '>': '\\u003e',
  '&': '\\u0026',
  '\u2028': '\\u2028',
  '\u2029': '\\u2029',
};

function escaped(text: string): string {
  return text.replace(/[<>&\u2028\u2029]/g, (character) => ESCAPES[character] ?? character);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  const entries = Object.entries(value).filter(([, field]) => field !== undefined);
  return Object.fromEntries(
    entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, field]) => [key, sorted(field)]),
  );
}

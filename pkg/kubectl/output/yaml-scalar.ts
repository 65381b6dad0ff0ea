/** Scalars as Go's yaml.v2 writes them: which quotes a string needs. Source: yaml.v2 resolve.go, emitterc.go. */

const NULLS = ['', '~', 'null', 'Null', 'NULL', '<<'];
const BOOLEANS =
  'y Y yes Yes YES true True TRUE on On ON n N no No NO false False FALSE off Off OFF'.split(' ');
const SPECIAL_FLOATS = /^(?:\.(?:nan|NaN|NAN)|[-+]?\.(?:inf|Inf|INF))$/;
const FLOAT = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;
const INTEGER = /^[-+]?(?:0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|[0-9]+)$/;
const BASE_60 = /^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$/;
const TIMESTAMP =
  /^\d{4}-\d{1,2}-\d{1,2}(?:(?:[Tt]| )\d{1,2}:\d{1,2}:\d{1,2}(?:\.\d+)?(?:Z|[-+]\d{2}:\d{2})?)?$/;
/** Characters that are written as they are; a tab is not among them. */
const PRINTABLE = /^[\n\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\u{10000}-\u{10ffff}]*$/u;
const FIRST_INDICATOR = /^(?:[#,[\]{}&*!|>'"%@`]|[?:](?:[ \t\n]|$)|-(?:[ \t\n]|$)|---|\.\.\.)/;
const INNER_INDICATOR = /:(?:[ \t\n]|$)|[ \t\n]#/;

/** Where a scalar stands: the column that it begins in, and the indent of its further lines. */
export interface Position {
  readonly column: number;
  readonly indent: string;
  /** Keys stay on one line. */
  readonly isKey?: boolean;
}

/** Lines are broken at the first space after this column. */
const BEST_WIDTH = 80;

/** A scalar, an empty list or an empty mapping. */
export function scalarText(value: unknown, position: Position): string {
  if (typeof value === 'string') return stringText(value, position);
  if (Array.isArray(value)) return '[]';
  if (typeof value === 'object' && value !== null) return '{}';
  return value === undefined ? 'null' : String(value);
}

function stringText(text: string, position: Position): string {
  const isPrintable = PRINTABLE.test(text);
  if (text.includes('\n'))
    return isPrintable && !/ \n| $/.test(text) && !position.isKey
      ? block(text, position.indent)
      : doubleQuoted(text, position);
  if (isAmbiguous(text) || !isPrintable) return doubleQuoted(text, position);
  const isPlain = !/^ | $/.test(text) && !FIRST_INDICATOR.test(text) && !INNER_INDICATOR.test(text);
  if (isPlain) return folded([...text], position);
  return folded([`'${text.charAt(0)}`, ...text.slice(1).replaceAll("'", "''"), "'"], position);
}

/** Breaks lines at single spaces; `characters` are written as they are. */
function folded(characters: readonly string[], { column: start, indent, isKey }: Position): string {
  let column = start;
  let text = '';
  for (const [index, character] of characters.entries()) {
    const isBreak =
      character === ' ' &&
      column > BEST_WIDTH &&
      !isKey &&
      index > 0 &&
      characters[index - 1] !== ' ' &&
      characters[index + 1] !== ' ';
    text += isBreak ? `\n${indent}` : character;
    column = isBreak ? indent.length : column + character.length;
  }
  return text;
}

/** Whether YAML 1.1 would read the plain text as something other than a string. */
function isAmbiguous(text: string): boolean {
  if (NULLS.includes(text) || BOOLEANS.includes(text)) return true;
  if (!/^[-+.0-9]/.test(text)) return false;
  const plain = text.replaceAll('_', '');
  if (INTEGER.test(plain) || SPECIAL_FLOATS.test(text)) return true;
  if (FLOAT.test(plain) && Number.isFinite(Number(plain))) return true;
  return BASE_60.test(text) || TIMESTAMP.test(text);
}

function block(text: string, indent: string): string {
  const hint = /^[ \n]/.test(text) ? '2' : '';
  const breaks = /\n*$/.exec(text)?.[0].length ?? 0;
  const chomping = breaks === 0 ? '-' : breaks === 1 ? '' : '+';
  const lines = text.replace(/\n$/, '').split('\n');
  const body = lines.map((line) => (line === '' ? '' : `${indent}${line}`)).join('\n');
  return `|${hint}${chomping}\n${body}`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\0': '\\0',
  '\x07': '\\a',
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\v': '\\v',
  '\f': '\\f',
  '\r': '\\r',
  '\x1b': '\\e',
};

function doubleQuoted(text: string, position: Position): string {
  const body = [...text].map((character) => {
    const short = ESCAPES[character];
    if (short) return short;
    if (PRINTABLE.test(character)) return character;
    const code = character.codePointAt(0) ?? 0;
    if (code <= 0xff) return `\\x${code.toString(16).toUpperCase().padStart(2, '0')}`;
    return `\\u${code.toString(16).toUpperCase().padStart(4, '0')}`;
  });
  const [first = '', ...rest] = body;
  return folded([`"${first}`, ...rest, '"'], position);
}

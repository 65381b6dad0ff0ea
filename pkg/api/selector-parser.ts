/** The grammar of label selectors: a lexer and a parser by recursive descent. Called by selectors.ts only. */

import { labelValue, qualifiedName } from './names.ts';

export type Operator = '=' | '==' | '!=' | 'in' | 'notin' | 'exists' | '!' | '>' | '<';

/** The text is no selector; the message is Kubernetes's own. */
export class SelectorError extends Error {}

interface Parsed {
  readonly key: string;
  readonly operator: Operator;
  readonly values: readonly string[];
}

interface Token {
  readonly kind: 'identifier' | 'symbol' | 'end';
  readonly text: string;
}

interface Cursor {
  readonly tokens: readonly Token[];
  at: number;
}

const TOKEN = /\s*(?:(==|!=|[=!(),<>])|([^\s=!(),<>]+))/y;
const END: Token = { kind: 'end', text: '' };
const BINARY: Readonly<Record<string, Operator>> = {
  in: 'in',
  notin: 'notin',
  '=': '=',
  '==': '==',
  '!=': '!=',
  '>': '>',
  '<': '<',
};

/** Reads all requirements of a selector's text. Throws SelectorError. */
export function parseRequirements(text: string): readonly Parsed[] {
  const cursor: Cursor = { tokens: tokenise(text), at: 0 };
  const found: Parsed[] = [];
  while (peek(cursor).kind !== 'end') {
    if (!startsRequirement(peek(cursor))) {
      throw unexpected(peek(cursor), ", expected: !, identifier, or 'end of string'");
    }
    found.push(requirement(cursor));
    const next = take(cursor);
    if (next.kind === 'end') break;
    if (!isSymbol(next, ',')) throw unexpected(next, ", expected: ',' or 'end of string'");
    if (!startsRequirement(peek(cursor))) {
      throw unexpected(peek(cursor), ", expected: identifier after ','");
    }
  }
  return found;
}

function tokenise(text: string): readonly Token[] {
  const tokens: Token[] = [];
  const trimmed = text.trimEnd();
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < trimmed.length) {
    const [, symbol, identifier] = TOKEN.exec(trimmed) ?? [];
    if (symbol !== undefined) tokens.push({ kind: 'symbol', text: symbol });
    else tokens.push({ kind: 'identifier', text: identifier ?? '' });
  }
  return tokens;
}

function peek(cursor: Cursor): Token {
  return cursor.tokens[cursor.at] ?? END;
}

function take(cursor: Cursor): Token {
  const token = peek(cursor);
  cursor.at += 1;
  return token;
}

function isSymbol(token: Token, text: string): boolean {
  return token.kind === 'symbol' && token.text === text;
}

function startsRequirement(token: Token): boolean {
  return token.kind === 'identifier' || isSymbol(token, '!');
}

function unexpected({ text }: Token, expectation: string): SelectorError {
  return new SelectorError(`found '${text}'${expectation}`);
}

function requirement(cursor: Cursor): Parsed {
  try {
    return checked(readRequirement(cursor));
  } catch (error) {
    if (!(error instanceof SelectorError)) throw error;
    throw new SelectorError(`unable to parse requirement: ${error.message}`, { cause: error });
  }
}

function readRequirement(cursor: Cursor): Parsed {
  const isNegated = isSymbol(peek(cursor), '!');
  if (isNegated) take(cursor);
  const key = take(cursor);
  if (key.kind !== 'identifier') throw unexpected(key, ', expected: identifier');
  if (isNegated) return { key: key.text, operator: '!', values: [] };
  const next = peek(cursor);
  if (next.kind === 'end' || isSymbol(next, ',')) {
    return { key: key.text, operator: 'exists', values: [] };
  }
  const operator = BINARY[take(cursor).text];
  if (!operator) throw unexpected(next, ', expected: in, notin, =, ==, !=, gt, lt');
  const values = operator === 'in' || operator === 'notin' ? set(cursor) : [exact(cursor)];
  return { key: key.text, operator, values };
}

function exact(cursor: Cursor): string {
  const next = peek(cursor);
  if (next.kind === 'end' || isSymbol(next, ',')) return '';
  take(cursor);
  if (next.kind !== 'identifier') throw unexpected(next, ', expected: identifier');
  return next.text;
}

/** A list in parentheses; an empty place between commas is the empty value. */
function set(cursor: Cursor): readonly string[] {
  const open = take(cursor);
  if (!isSymbol(open, '(')) throw unexpected(open, " expected: '('");
  if (isSymbol(peek(cursor), ')')) {
    throw new SelectorError(
      "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty",
    );
  }
  const values = new Set<string>();
  for (;;) {
    const token = take(cursor);
    if (token.kind === 'identifier') values.add(token.text);
    else if (isSymbol(token, ',') || isSymbol(token, ')')) values.add('');
    else throw unexpected(token, ", expected: ',', ')' or identifier");
    if (isSymbol(token, ')')) break;
    if (token.kind === 'symbol') continue;
    const after = take(cursor);
    if (isSymbol(after, ')')) break;
    if (!isSymbol(after, ',')) throw unexpected(after, ", expected: ',' or ')'");
  }
  return [...values];
}

function checked(parsed: Parsed): Parsed {
  const { key, operator, values } = parsed;
  fail('key', key, qualifiedName(key));
  if (operator === '>' || operator === '<') {
    if (!/^[+-]?\d+$/.test(values[0] ?? '')) {
      throw new SelectorError(
        `values[0]: Invalid value: ${JSON.stringify(values[0])}: for 'Gt', 'Lt' operators, the value must be an integer`,
      );
    }
    return parsed;
  }
  if (operator === 'in' || operator === 'notin') {
    if (values.length === 1 && values[0] === '') return parsed;
  }
  for (const [index, value] of values.entries())
    fail(`values[${index}][${key}]`, value, labelValue(value));
  return parsed;
}

function fail(path: string, value: string, why: readonly string[]): void {
  if (why.length === 0) return;
  throw new SelectorError(`${path}: Invalid value: ${JSON.stringify(value)}: ${why.join('; ')}`);
}

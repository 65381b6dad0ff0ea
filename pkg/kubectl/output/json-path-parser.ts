/** Kubernetes' JSONPath templates: text, `{paths}`, `{range …}…{end}`, `{"text"}`. Source: client-go util/jsonpath. */

import { KubectlError } from '../kubectl-error.ts';

export type Step =
  | { readonly kind: 'field'; readonly name: string }
  | { readonly kind: 'all' }
  | { readonly kind: 'descend' }
  | { readonly kind: 'slice'; readonly from?: number; readonly to?: number; readonly by?: number }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'union'; readonly steps: readonly Step[] }
  | { readonly kind: 'filter'; readonly filter: Filter };

export type Operand =
  | { readonly kind: 'path'; readonly steps: readonly Step[] }
  | { readonly kind: 'value'; readonly value: string | number | boolean };

export interface Filter {
  readonly left: Operand;
  /** `exists` has no right side. */
  readonly operator: '==' | '!=' | '<' | '<=' | '>' | '>=' | 'exists';
  readonly right?: Operand;
}

export type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'path'; readonly steps: readonly Step[] }
  | { readonly kind: 'range'; readonly steps: readonly Step[]; readonly body: readonly Node[] };

const STRING = /^"((?:[^"\\]|\\.)*)"|^'((?:[^'\\]|\\.)*)'/;
const FIELD = /^(?:\\.|[^\s.[\](){}='"!<>,|&])+/;
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' };

/** Reads a template. Throws a KubectlError on what it cannot read. */
export function parseTemplate(template: string): readonly Node[] {
  const root: Node[] = [];
  const open: { readonly steps: readonly Step[]; readonly body: Node[] }[] = [];
  for (let rest = template; rest !== ''; ) {
    const body = open.at(-1)?.body ?? root;
    const text = /^[^{]+/.exec(rest)?.[0];
    if (text !== undefined) {
      body.push({ kind: 'text', text });
      rest = rest.slice(text.length);
      continue;
    }
    const end = closing(rest);
    const action = rest.slice(1, end).trim();
    rest = rest.slice(end + 1);
    if (/^range\b/.test(action)) open.push({ steps: parsePath(action.slice(5).trim()), body: [] });
    else if (action === 'end') close(open, root);
    else body.push(...parseAction(action));
  }
  if (open.length > 0) throw malformed('range without end');
  return root;
}

/** Reads one path without braces, such as `.metadata.name`. */
export function parsePath(text: string): readonly Step[] {
  const steps: Step[] = [];
  let rest = text.replace(/^[$@]/, '');
  while (rest !== '') {
    const [step, length] = nextStep(rest);
    if (step) steps.push(step);
    rest = rest.slice(length);
  }
  return steps;
}

function close(open: { steps: readonly Step[]; body: Node[] }[], root: Node[]): void {
  const done = open.pop();
  if (!done) throw malformed('not in range, nothing to end');
  (open.at(-1)?.body ?? root).push({ kind: 'range', ...done });
}

/** Index of the brace that closes the first one; braces in strings do not count. */
function closing(text: string): number {
  for (let index = 1; index < text.length; index += 1) {
    const string = STRING.exec(text.slice(index));
    if (string) index += string[0].length - 1;
    else if (text[index] === '\\') index += 1;
    else if (text[index] === '}') return index;
  }
  throw malformed('unclosed action');
}

function parseAction(action: string): readonly Node[] {
  const nodes: Node[] = [];
  let rest = action;
  while (rest !== '') {
    const string = STRING.exec(rest);
    if (string) {
      nodes.push({ kind: 'text', text: unescaped(string[1] ?? string[2] ?? '') });
      rest = rest.slice(string[0].length).trimStart();
      continue;
    }
    const space = outerSpace(rest);
    nodes.push({ kind: 'path', steps: parsePath(rest.slice(0, space)) });
    rest = rest.slice(space).trimStart();
  }
  return nodes;
}

/** Where a path ends: at a space outside of brackets. */
function outerSpace(text: string): number {
  let depth = 0;
  for (const [index, character] of [...text].entries()) {
    if (character === '[' || character === '(') depth += 1;
    else if (character === ']' || character === ')') depth -= 1;
    else if (character === ' ' && depth === 0) return index;
  }
  return text.length;
}

function nextStep(text: string): readonly [Step | undefined, number] {
  if (text.startsWith('..')) return [{ kind: 'descend' }, text[2] === '[' ? 2 : 1];
  if (text.startsWith('[')) {
    const end = closingBracket(text);
    return [bracket(text.slice(1, end).trim()), end + 1];
  }
  const dot = text.startsWith('.') ? 1 : 0;
  const after = text.slice(dot);
  if (after === '' || after.startsWith('[')) return [undefined, dot];
  if (after.startsWith('*')) return [{ kind: 'all' }, dot + 1];
  const name = FIELD.exec(after)?.[0];
  if (!name)
    throw malformed(`unrecognized character in action: ${JSON.stringify(after.charAt(0))}`);
  return [{ kind: 'field', name: name.replace(/\\(.)/g, '$1') }, dot + name.length];
}

function closingBracket(text: string): number {
  let depth = 0;
  for (let index = 0; index < text.length; index += 1) {
    const string = STRING.exec(text.slice(index));
    if (string) index += string[0].length - 1;
    else if (text[index] === '[') depth += 1;
    else if (text[index] === ']') depth -= 1;
    if (depth === 0) return index;
  }
  throw malformed('unterminated array');
}

function bracket(text: string): Step {
  if (text === '*') return { kind: 'all' };
  const filter = /^\?\((.*)\)$/s.exec(text);
  if (filter) return { kind: 'filter', filter: parseFilter((filter[1] ?? '').trim()) };
  if (/^-?\d+$/.test(text)) return { kind: 'index', index: Number(text) };
  const slice = /^(-?\d*):(-?\d*)(?::(-?\d+))?$/.exec(text);
  if (slice) return sliceOf(slice);
  const parts = text.match(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^,\s]+/g) ?? [];
  const steps = parts.map((part): Step => {
    const string = STRING.exec(part);
    if (string) return { kind: 'field', name: unescaped(string[1] ?? string[2] ?? '') };
    if (/^-?\d+$/.test(part)) return { kind: 'index', index: Number(part) };
    throw malformed(`invalid array index ${text}`);
  });
  const [only] = steps;
  return steps.length === 1 && only ? only : { kind: 'union', steps };
}

function sliceOf([, from, to, by]: RegExpExecArray): Step {
  return {
    kind: 'slice',
    ...(from ? { from: Number(from) } : {}),
    ...(to ? { to: Number(to) } : {}),
    ...(by ? { by: Number(by) } : {}),
  };
}

const COMPARISON = /^(.*?)\s*(==|!=|<=|>=|<|>)\s*(.*)$/s;

function parseFilter(text: string): Filter {
  const found = COMPARISON.exec(text);
  if (!found) return { left: operand(text), operator: 'exists' };
  const [, left = '', operator, right = ''] = found;
  return { left: operand(left), operator: decodeOperator(operator), right: operand(right.trim()) };
}

function decodeOperator(text: string | undefined): Filter['operator'] {
  return text as Filter['operator'];
}

function operand(text: string): Operand {
  if (text.startsWith('@') || text.startsWith('$') || text.startsWith('.'))
    return { kind: 'path', steps: parsePath(text) };
  const string = STRING.exec(text);
  if (string) return { kind: 'value', value: unescaped(string[1] ?? string[2] ?? '') };
  if (text === 'true' || text === 'false') return { kind: 'value', value: text === 'true' };
  const number = Number(text);
  if (text === '' || Number.isNaN(number)) throw malformed(`unrecognized identifier ${text}`);
  return { kind: 'value', value: number };
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/g, (_, letter: string) => ESCAPES[letter] ?? letter);
}

function malformed(why: string): KubectlError {
  return new KubectlError(`error parsing jsonpath: ${why}`);
}

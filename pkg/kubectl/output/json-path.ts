/** Evaluates JSONPath templates. What is not there prints as nothing, as with kubectl get. */

import { getKey, isEqual, isObject } from '../../api/json.ts';
import { compactJson } from './json.ts';
import {
  type Filter,
  type Node,
  type Operand,
  parseTemplate,
  type Step,
} from './json-path-parser.ts';

/** Makes the function that prints a value by a template. */
export function jsonPathPrinter(template: string): (value: unknown) => string {
  const nodes = parseTemplate(template);
  return (value) => print(nodes, value);
}

/** The values that a path leads to. */
export function valuesAt(steps: readonly Step[], value: unknown): readonly unknown[] {
  return steps.reduce<readonly unknown[]>(
    (values, step) => values.flatMap((one) => take(step, one)),
    [value],
  );
}

/** A value as text: strings as they are, objects and lists as JSON. */
export function valueText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value === null || value === undefined) return '';
  return typeof value === 'object' ? compactJson(value) : String(value);
}

function print(nodes: readonly Node[], value: unknown): string {
  return nodes
    .map((node) => {
      if (node.kind === 'text') return node.text;
      const found = valuesAt(node.steps, value);
      if (node.kind === 'range') return found.map((one) => print(node.body, one)).join('');
      return found.map(valueText).join(' ');
    })
    .join('');
}

function take(step: Step, value: unknown): readonly unknown[] {
  switch (step.kind) {
    case 'field':
      return isObject(value) && Object.hasOwn(value, step.name) ? [getKey(value, step.name)] : [];
    case 'all':
      return members(value);
    case 'descend':
      return [value, ...members(value).flatMap((member) => take(step, member))];
    case 'index':
      return Array.isArray(value) ? at(value, step.index) : [];
    case 'slice':
      return Array.isArray(value) ? sliced(value, step) : [];
    case 'union':
      return step.steps.flatMap((one) => take(one, value));
    case 'filter':
      return members(value).filter((member) => passes(step.filter, member));
  }
}

function members(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  return isObject(value) ? Object.values(value) : [];
}

function at(list: readonly unknown[], index: number): readonly unknown[] {
  const item = list.at(index);
  return item === undefined ? [] : [item];
}

function sliced(
  list: readonly unknown[],
  { from, to, by = 1 }: { from?: number; to?: number; by?: number },
): readonly unknown[] {
  return list.slice(from, to).filter((_, index) => index % Math.max(by, 1) === 0);
}

function passes({ left, operator, right }: Filter, member: unknown): boolean {
  const lefts = valuesOf(left, member);
  if (operator === 'exists') return lefts.length > 0;
  if (!right) return false;
  const rights = valuesOf(right, member);
  return lefts.some((a) => rights.some((b) => compares(operator, a, b)));
}

function valuesOf(operand: Operand, member: unknown): readonly unknown[] {
  return operand.kind === 'value' ? [operand.value] : valuesAt(operand.steps, member);
}

function compares(operator: Filter['operator'], a: unknown, b: unknown): boolean {
  if (operator === '==') return isEqual(a, b);
  if (operator === '!=') return !isEqual(a, b);
  const isComparable =
    (typeof a === 'number' && typeof b === 'number') ||
    (typeof a === 'string' && typeof b === 'string');
  if (!isComparable) return false;
  const isLess = a < b;
  if (operator === '<') return isLess;
  if (operator === '>=') return !isLess;
  return operator === '>' ? a > b : a <= b;
}

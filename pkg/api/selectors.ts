/**
 * Label and field selectors: their string forms, LabelSelector objects, and matching. Errors are worded as
 * Kubernetes words them. Source: apimachinery pkg/labels, pkg/fields.
 */

import { type Operator, parseRequirements } from './selector-parser.ts';

export { SelectorError } from './selector-parser.ts';

type Labels = Readonly<Record<string, string>>;

/** One condition on the value of a label; `values` is empty for Exists and DoesNotExist. */
interface Requirement {
  readonly key: string;
  readonly operator: Operator;
  readonly values: readonly string[];
}

/** All must hold; an empty list matches everything. */
export type Selector = readonly Requirement[];

/** metav1.LabelSelector as it stands in objects. */
export interface LabelSelectorLike {
  readonly matchLabels?: Labels;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}

const EXPRESSION_OPERATORS: Readonly<Record<string, Operator>> = {
  In: 'in',
  NotIn: 'notin',
  Exists: 'exists',
  DoesNotExist: '!',
};

/** Matches nothing: what an absent LabelSelector stands for. */
const NOTHING: Selector = [{ key: '', operator: 'in', values: [] }];

/** Reads the string form: `a=b,c!=d,e in (f,g),h notin (i),j,!k`. Throws SelectorError. */
export function parseLabelSelector(text: string): Selector {
  return sortByKey(parseRequirements(text));
}

function sortByKey(requirements: Selector): Selector {
  return requirements.toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
}

/** The selector of a LabelSelector object: absent matches nothing, empty everything. */
export function selectorOf(selector: LabelSelectorLike | null | undefined): Selector {
  if (!selector) return NOTHING;
  const expressions = (selector.matchExpressions ?? []).map(
    ({ key, operator, values = [] }): Requirement => ({
      key,
      // An operator that validation would refuse matches nothing rather than everything.
      operator: EXPRESSION_OPERATORS[operator] ?? 'in',
      values: EXPRESSION_OPERATORS[operator] ? values : [],
    }),
  );
  return sortByKey([...selectorOfMap(selector.matchLabels), ...expressions]);
}

/** The selector of a plain map as services and replication controllers have: each label must be equal. */
export function selectorOfMap(labels: Labels | null | undefined): Selector {
  return sortByKey(
    Object.entries(labels ?? {}).map(([key, value]) => ({ key, operator: '=', values: [value] })),
  );
}

/** Whether labels meet every requirement. */
export function matchesLabels(selector: Selector, labels: Labels | undefined): boolean {
  return selector.every((requirement) => meets(requirement, labels?.[requirement.key]));
}

function meets({ operator, values }: Requirement, value: string | undefined): boolean {
  switch (operator) {
    case 'exists':
      return value !== undefined;
    case '!':
      return value === undefined;
    case '!=':
    case 'notin':
      return value === undefined || !values.includes(value);
    case '>':
    case '<':
      return value !== undefined && compares(operator, Number(value), Number(values[0]));
    default:
      return value !== undefined && values.includes(value);
  }
}

function compares(operator: '>' | '<', value: number, limit: number): boolean {
  return operator === '>' ? value > limit : value < limit;
}

/** The string form, requirements in the order of their keys. */
export function formatSelector(selector: Selector): string {
  return selector.map(formatRequirement).join(',');
}

function formatRequirement({ key, operator, values }: Requirement): string {
  switch (operator) {
    case 'exists':
      return key;
    case '!':
      return `!${key}`;
    case 'in':
    case 'notin':
      return `${key} ${operator} (${values.toSorted().join(',')})`;
    default:
      return `${key}${operator === '==' ? '==' : operator}${values[0] ?? ''}`;
  }
}

/** How tables show a LabelSelector: "<none>" when it is absent or empty. */
export function showSelector(selector: LabelSelectorLike | null | undefined): string {
  const text = selector ? formatSelector(selectorOf(selector)) : '';
  return text === '' ? '<none>' : text;
}

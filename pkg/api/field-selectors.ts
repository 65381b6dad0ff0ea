/** Field selectors (`status.phase!=Running,spec.nodeName=a`): text and matching. Source: apimachinery pkg/fields. */

import { SelectorError } from './selector-parser.ts';

interface FieldRequirement {
  readonly field: string;
  readonly value: string;
  readonly isEqual: boolean;
}

/** All must hold; an empty list matches everything. */
export type FieldSelector = readonly FieldRequirement[];

/** Reads a field selector; `\`, `,` and `=` in values are escaped by a backslash. Throws SelectorError. */
export function parseFieldSelector(text: string): FieldSelector {
  return split(text).flatMap((term) => (term === '' ? [] : [requirement(term, text)]));
}

/** The terms between commas that no backslash escapes. */
function split(text: string): readonly string[] {
  return text.match(/(?:\\.|[^,\\]|\\$)+/gs) ?? [];
}

function requirement(term: string, whole: string): FieldRequirement {
  const [matched, field = '', operator, raw = ''] =
    /^((?:[^=!\\]|\\.|!(?!=))*)(!=|==|=)(.*)$/s.exec(term) ?? [];
  if (matched === undefined) {
    throw new SelectorError(`invalid selector: '${whole}'; can't understand '${term}'`);
  }
  return { field, value: unescaped(raw), isEqual: operator !== '!=' };
}

function unescaped(raw: string): string {
  const plain = raw.replaceAll(/\\[\\,=]/g, '');
  const wrong = /\\(.?)|[,=]/s.exec(plain);
  if (wrong)
    throw new SelectorError(`invalid field selector: invalid escape sequence: ${wrong[0]}`);
  return raw.replaceAll(/\\(.)/gs, '$1');
}

/** Whether an object meets every requirement; `read` gives the text of a field, undefined when it is not known. */
export function matchesFields(
  selector: FieldSelector,
  read: (field: string) => string | undefined,
): boolean {
  return selector.every(({ field, value, isEqual }) => (read(field) === value) === isEqual);
}

/** The string form. */
export function formatFieldSelector(selector: FieldSelector): string {
  return selector
    .map(({ field, value, isEqual }) => {
      return `${field}${isEqual ? '=' : '!='}${value.replaceAll(/[\\,=]/g, '\\$&')}`;
    })
    .join(',');
}

/** Label selectors inside other objects. Source: apimachinery pkg/apis/meta/v1/validation. */

import {
  type Causes,
  each,
  forbiddenField,
  invalidEach,
  invalidValue,
  required,
} from '../field-errors.ts';
import type { LabelSelector } from '../generated/types.ts';
import { validateLabels } from '../meta-validation.ts';
import { labelValue, qualifiedName } from '../names.ts';

/** Everything that is wrong with a LabelSelector. */
export function validateSelector(field: string, selector: LabelSelector | undefined): Causes {
  if (!selector) return [];
  return [
    ...validateLabels(`${field}.matchLabels`, selector.matchLabels),
    ...each(`${field}.matchExpressions`, selector.matchExpressions, expressionCauses),
  ];
}

type Expression = NonNullable<LabelSelector['matchExpressions']>[number];

function expressionCauses({ key, operator, values = [] }: Expression, path: string): Causes {
  return [
    ...operatorCauses(operator, values, path),
    ...invalidEach(`${path}.key`, key, qualifiedName(key ?? '')),
    ...each(`${path}.values`, values, (value, at) => invalidEach(at, value, labelValue(value))),
  ];
}

function operatorCauses(operator: string, values: readonly string[], path: string): Causes {
  switch (operator) {
    case 'In':
    case 'NotIn':
      return values.length > 0
        ? []
        : [required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'")];
    case 'Exists':
    case 'DoesNotExist':
      return values.length === 0
        ? []
        : [
            forbiddenField(
              `${path}.values`,
              "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            ),
          ];
    default:
      return [invalidValue(`${path}.operator`, operator, 'not a valid selector operator')];
  }
}

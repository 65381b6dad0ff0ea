/** What a container's rules for exit codes must be. Source: kubernetes pkg/apis/core/validation. */

import {
  type Causes,
  each,
  invalidValue,
  required,
  requiredOneOf,
  tooMany,
  unique,
} from '../field-errors.ts';
import type { Container, ContainerRestartRule } from '../generated/types.ts';

const MAX_RULES = 20;
const MAX_VALUES = 255;
const MAX_EXIT_CODE = 255;

/** Everything that is wrong with a container's restartPolicyRules. */
export function ruleCauses(container: Container, path: string): Causes {
  const { restartPolicyRules: rules = [], restartPolicy } = container;
  if (rules.length === 0) return [];
  const field = `${path}.restartPolicyRules`;
  const why = 'must specify restartPolicy when restart rules are used';
  return [
    ...(restartPolicy === undefined ? [required(`${path}.restartPolicy`, why)] : []),
    ...(rules.length > MAX_RULES ? [tooMany(field, rules.length, MAX_RULES)] : []),
    ...each(field, rules, oneRule),
  ];
}

function oneRule({ action, exitCodes }: ContainerRestartRule, path: string): Causes {
  const at = `${path}.exitCodes`;
  const actions = requiredOneOf(`${path}.action`, action, ['Restart', 'RestartAllContainers']);
  if (!exitCodes) return [...actions, required(at, 'must be specified')];
  const { operator, values = [] } = exitCodes;
  const isCode = (value: number) => value >= 0 && value <= MAX_EXIT_CODE;
  return [
    ...actions,
    ...requiredOneOf(`${at}.operator`, operator, ['In', 'NotIn']),
    ...(values.length === 0 ? [required(`${at}.values`)] : []),
    ...(values.length > MAX_VALUES ? [tooMany(`${at}.values`, values.length, MAX_VALUES)] : []),
    ...values
      .filter((value) => !isCode(value))
      .map((value) => invalidValue(`${at}.values`, value, 'must be an exit code from 0 to 255')),
    ...unique(values, String, (index) => `${at}.values[${index}]`),
  ];
}

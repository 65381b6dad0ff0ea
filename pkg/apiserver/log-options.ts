/** What a client may ask of a log. Source: kubernetes pkg/apis/core/validation ValidatePodLogOptions. */

import { invalid } from '../api/errors.ts';
import { forbiddenField, invalidValue, oneOf } from '../api/field-errors.ts';

/** The least that each number may be, and how that is told. */
const LEAST = [
  ['tailLines', 0, 'must be greater than or equal to 0'],
  ['limitBytes', 1, 'must be greater than 0'],
  ['sinceSeconds', 1, 'must be greater than 0'],
] as const;
const STREAMS = ['All', 'Stderr', 'Stdout'];

/** Throws Invalid for options of a pod's log that contradict each other or mean nothing. */
export function checkLogOptions(pod: string, query: URLSearchParams): void {
  const isSinceTwice = query.get('sinceTime') && query.get('sinceSeconds');
  const twice = 'at most one of `sinceTime` or `sinceSeconds` may be specified';
  const causes = [
    ...LEAST.flatMap(([name, least, why]) => {
      const text = query.get(name) || String(least);
      return Number(text) < least ? [invalidValue(name, Number(text), why)] : [];
    }),
    ...(isSinceTwice ? [forbiddenField('', twice)] : []),
    ...oneOf('stream', query.get('stream') || undefined, STREAMS),
  ];
  if (causes.length > 0) throw invalid({ group: '', kind: 'PodLogOptions' }, pod, causes);
}

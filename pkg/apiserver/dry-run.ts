/** The dryRun parameter. */

import { invalid } from '../api/errors.ts';

/** Whether the write is only tried out. Throws Invalid for values other than All. */
export function isDryRunQuery(query: URLSearchParams): boolean {
  const values = query.getAll('dryRun').filter((value) => value !== '');
  if (values.length === 0) return false;
  if (values.every((value) => value === 'All')) return true;
  const message = `Unsupported value: ${JSON.stringify(values)}: supported values: "All"`;
  throw invalid({ group: 'meta.k8s.io', kind: 'CreateOptions' }, '', [
    { field: 'dryRun', message },
  ]);
}

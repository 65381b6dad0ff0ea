/** metav1.DeleteOptions: from the body or from query parameters, checked. */

import { badRequest, invalid } from '../api/errors.ts';
import { isDryRunQuery } from './dry-run.ts';
import { isTrue } from './route.ts';

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: 'Orphan' | 'Foreground' | 'Background';
  readonly preconditions: { readonly uid?: string; readonly resourceVersion?: string };
  readonly isDryRun: boolean;
}

const POLICIES = ['Orphan', 'Background', 'Foreground'] as const;

/** The options of a delete; what the body says wins over the query. Throws BadRequest, Invalid. */
export function deleteOptionsOf(query: URLSearchParams, body: object | undefined): DeleteOptions {
  const fields: Record<string, unknown> = { ...fromQuery(query), ...body };
  const policy = policyOf(fields);
  const grace = numberOf(fields['gracePeriodSeconds']);
  return {
    ...(grace === undefined ? {} : { gracePeriodSeconds: grace }),
    ...(policy ? { propagationPolicy: policy } : {}),
    preconditions: preconditionsOf(fields['preconditions']),
    isDryRun: isDryRunQuery(query) || isDryRunList(fields['dryRun']),
  };
}

function fromQuery(query: URLSearchParams): Record<string, unknown> {
  const grace = query.get('gracePeriodSeconds');
  const policy = query.get('propagationPolicy');
  const orphan = query.get('orphanDependents');
  return {
    ...(grace === null ? {} : { gracePeriodSeconds: Number(grace) }),
    ...(policy === null ? {} : { propagationPolicy: policy }),
    ...(orphan === null ? {} : { orphanDependents: isTrue(orphan) }),
  };
}

function policyOf(fields: Record<string, unknown>): DeleteOptions['propagationPolicy'] {
  const { propagationPolicy: policy, orphanDependents: orphan } = fields;
  if (policy !== undefined && orphan !== undefined) {
    throw refusal(
      'propagationPolicy',
      'orphanDependents and deletionPropagation cannot be both set',
    );
  }
  if (orphan !== undefined) return orphan ? 'Orphan' : 'Background';
  if (policy === undefined || policy === '' || policy === null) return undefined;
  const known = POLICIES.find((each) => each === policy);
  if (known) return known;
  throw refusal(
    'propagationPolicy',
    `Unsupported value: "${policy}": supported values: "Foreground", "Background", "Orphan"`,
  );
}

function numberOf(value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'number' && Number.isInteger(value)) return value;
  throw badRequest(`gracePeriodSeconds must be a whole number, not ${JSON.stringify(value)}`);
}

function preconditionsOf(value: unknown): DeleteOptions['preconditions'] {
  if (typeof value !== 'object' || value === null) return {};
  const { uid, resourceVersion } = value as Record<string, unknown>;
  return {
    ...(typeof uid === 'string' ? { uid } : {}),
    ...(typeof resourceVersion === 'string' ? { resourceVersion } : {}),
  };
}

function isDryRunList(value: unknown): boolean {
  if (!Array.isArray(value) || value.length === 0) return false;
  if (value.every((each) => each === 'All')) return true;
  throw refusal('dryRun', `Unsupported value: ${JSON.stringify(value)}: supported values: "All"`);
}

function refusal(field: string, message: string): Error {
  return invalid({ group: 'meta.k8s.io', kind: 'DeleteOptions' }, '', [{ field, message }]);
}

/** Resources that exist as rows but would do nothing if they were stored: to create one is refused, with the reason. */

import { StatusError } from '../api/errors.ts';
import type { Call } from './parts.ts';
import { nameOf } from './storage.ts';

const REASONS: Readonly<Record<string, string>> = {
  'customresourcedefinitions.apiextensions.k8s.io': 'this server does not serve custom resources',
  'apiservices.apiregistration.k8s.io': 'this server does not aggregate other API servers',
  'validatingwebhookconfigurations.admissionregistration.k8s.io':
    'this server does not call admission webhooks',
  'mutatingwebhookconfigurations.admissionregistration.k8s.io':
    'this server does not call admission webhooks',
  'validatingadmissionpolicies.admissionregistration.k8s.io':
    'this server does not evaluate admission policies',
  'validatingadmissionpolicybindings.admissionregistration.k8s.io':
    'this server does not evaluate admission policies',
  'mutatingadmissionpolicies.admissionregistration.k8s.io':
    'this server does not evaluate admission policies',
  'mutatingadmissionpolicybindings.admissionregistration.k8s.io':
    'this server does not evaluate admission policies',
};

/** Throws MethodNotAllowed for the creation of an object that this server would not act on. */
export function refuseUnserved({ resource }: Call): void {
  const { plural, group } = nameOf(resource);
  const reason = REASONS[`${plural}.${group}`];
  if (!reason) return;
  const message = `cannot create ${plural}.${group}: ${reason}`;
  throw new StatusError('MethodNotAllowed', message, { group, kind: plural });
}

/** The Forbidden answer as kubectl users know it. */

import { type StatusDetails, StatusError } from '../api/errors.ts';
import type { Attributes } from './contract.ts';

/** Says who may not do what, and why. */
export function forbiddenRoute(attributes: Attributes, reason: string): StatusError {
  const why = reason ? `: ${reason}` : '';
  const { user, verb, path, isResource, group, name } = attributes;
  if (!isResource) {
    const text = `forbidden: User "${user.name}" cannot ${verb} path "${path}"${why}`;
    return new StatusError('Forbidden', text, {});
  }
  const resource = qualified(attributes);
  const object = name ? ` "${name}"` : '';
  const text = `${attributes.resource}${group ? `.${group}` : ''}${object} is forbidden: User "${user.name}" cannot ${verb} resource "${resource}" in API group "${group}" ${scope(attributes)}${why}`;
  const details: StatusDetails = {
    ...(name ? { name } : {}),
    ...(group ? { group } : {}),
    kind: attributes.resource,
  };
  return new StatusError('Forbidden', text, details);
}

function qualified({ resource, subresource }: Attributes): string {
  return subresource ? `${resource}/${subresource}` : resource;
}

function scope({ namespace }: Attributes): string {
  return namespace ? `in the namespace "${namespace}"` : 'at the cluster scope';
}

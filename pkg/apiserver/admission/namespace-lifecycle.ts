/** Nothing is created in a namespace that is absent or goes away, and system namespaces stay. */

import { forbidden, notFound, StatusError } from '../../api/errors.ts';
import type { Namespace } from '../../api/generated/types.ts';
import type { Admission } from '../contract.ts';
import { isOn, shownName } from './subject.ts';

const IMMORTAL: ReadonlySet<string> = new Set(['default', 'kube-system', 'kube-public']);
const NAMESPACES = { plural: 'namespaces', group: '' };

export const namespaceLifecycle: Admission = {
  name: 'NamespaceLifecycle',
  admit(request) {
    const { operation, namespace, resource, group, object, registry } = request;
    if (isOn(request, 'DELETE', 'namespaces') && IMMORTAL.has(request.name)) {
      throw forbidden(NAMESPACES, request.name, 'this namespace may not be deleted');
    }
    const isQuestion = group === 'authorization.k8s.io';
    if (operation !== 'CREATE' || !namespace || resource === 'namespaces' || isQuestion)
      return object;
    const found = registry.get<Namespace>('namespaces', { name: namespace });
    if (!found) throw notFound(NAMESPACES, namespace);
    // Subresources of what is there already (eviction, tokens, binding) go on until it is gone.
    if (!found.metadata.deletionTimestamp || request.subresource) return object;
    const message = `unable to create new content in namespace ${namespace} because it is being terminated`;
    const refused = forbidden({ plural: resource, group }, shownName(request), message);
    throw new StatusError('Forbidden', refused.message, {
      ...refused.details,
      causes: [
        {
          reason: 'NamespaceTerminating',
          message: `namespace ${namespace} is being terminated`,
          field: 'metadata.namespace',
        },
      ],
    });
  },
};

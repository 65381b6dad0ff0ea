/** The node as events are about it. */

import type { ApiObject } from '../../api/meta.ts';

/** As the kubelet names it: the uid is the name. */
export function nodeReference(name: string): ApiObject {
  const metadata = { name, uid: name, resourceVersion: '', creationTimestamp: '' };
  return { apiVersion: 'v1', kind: 'Node', metadata };
}

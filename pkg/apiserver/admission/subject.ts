/** What an admission request is about, for plug-ins that look at one kind of object. */

import type { Pod } from '../../api/generated/types.ts';
import type { ApiObject } from '../../api/meta.ts';
import type { AdmissionRequest } from '../contract.ts';

/** Whether the request is this operation on these objects themselves (not on a subresource). */
export function isOn(
  request: AdmissionRequest,
  operation: AdmissionRequest['operation'],
  resource: string,
): boolean {
  const qualified = request.group ? `${request.resource}.${request.group}` : request.resource;
  return request.operation === operation && qualified === resource && request.subresource === '';
}

/** The pod that a request creates; undefined also for one without containers, which validation refuses afterwards. */
export function createdPod(request: AdmissionRequest): Pod | undefined {
  return isOn(request, 'CREATE', 'pods') ? podOf(request.object) : undefined;
}

/** The pod that a request creates or changes, as createdPod. */
export function writtenPod(request: AdmissionRequest): Pod | undefined {
  return isOn(request, 'UPDATE', 'pods') ? podOf(request.object) : createdPod(request);
}

function podOf(object: ApiObject | undefined): Pod | undefined {
  const pod = objectAs<Pod>(object, 'Pod');
  const draft: PodDraft | undefined = pod;
  return draft?.spec?.containers ? pod : undefined;
}

/** The pod whose resources a request changes. */
export function resizedPod({ operation, resource, group, subresource, object }: AdmissionRequest) {
  const isResize = operation === 'UPDATE' && subresource === 'resize';
  return isResize && resource === 'pods' && group === '' ? objectAs<Pod>(object, 'Pod') : undefined;
}

/** What a client may send: validation comes after admission. */
type PodDraft = Omit<Pod, 'spec'> & { readonly spec?: Partial<Pod['spec']> };

/** The object as its type; undefined when it is of another kind. The REST layer has checked its schema. */
export function objectAs<T extends ApiObject>(
  object: ApiObject | undefined,
  kind: string,
): T | undefined {
  return object?.kind === kind ? (object as T) : undefined;
}

/** The name for messages: the object's, or what its names are generated from. */
export function shownName({ name, object }: AdmissionRequest): string {
  return name || object?.metadata.name || object?.metadata.generateName || '';
}

/** The table of built-in resources and the ways to find a row. Adding a resource is one row and one line here. */

import type { ApiObject } from './meta.ts';
import type { Resource } from './resource.ts';
import {
  mutatingadmissionpolicies,
  mutatingadmissionpolicybindings,
  mutatingwebhookconfigurations,
  validatingadmissionpolicies,
  validatingadmissionpolicybindings,
  validatingwebhookconfigurations,
} from './resources/admission.ts';
import { horizontalpodautoscalers, horizontalpodautoscalersV1 } from './resources/autoscaling.ts';
import { cronjobs, jobs } from './resources/batch.ts';
import { certificatesigningrequests } from './resources/certificates.ts';
import {
  endpointslices,
  leases,
  priorityclasses,
  runtimeclasses,
} from './resources/coordination.ts';
import {
  bindings,
  componentstatuses,
  configmaps,
  namespaces,
  secrets,
  serviceaccounts,
} from './resources/core.ts';
import { deployments, replicasets } from './resources/deployment.ts';
import {
  deviceclasses,
  resourceclaims,
  resourceclaimtemplates,
  resourceslices,
} from './resources/devices.ts';
import { events, eventsEvents } from './resources/event.ts';
import { apiservices, customresourcedefinitions } from './resources/extension.ts';
import { flowschemas, prioritylevelconfigurations } from './resources/flowcontrol.ts';
import { limitranges, resourcequotas } from './resources/limits.ts';
import { nodeMetrics, podMetrics } from './resources/metrics.ts';
import { networkpolicies } from './resources/network-policy.ts';
import { ingressclasses, ingresses, ipaddresses, servicecidrs } from './resources/networking.ts';
import { nodes } from './resources/node.ts';
import { pods } from './resources/pod.ts';
import { podcertificaterequests } from './resources/pod-certificates.ts';
import { poddisruptionbudgets } from './resources/policy.ts';
import { clusterrolebindings, clusterroles, rolebindings, roles } from './resources/rbac.ts';
import { podtemplates, replicationcontrollers } from './resources/replication-controller.ts';
import {
  localsubjectaccessreviews,
  selfsubjectaccessreviews,
  selfsubjectreviews,
  selfsubjectrulesreviews,
  subjectaccessreviews,
  tokenreviews,
} from './resources/reviews.ts';
import { endpoints, services } from './resources/service.ts';
import { controllerrevisions, daemonsets, statefulsets } from './resources/statefulset.ts';
import {
  csidrivers,
  csinodes,
  csistoragecapacities,
  storageclasses,
  volumeattachments,
  volumeattributesclasses,
} from './resources/storage.ts';
import { clustertrustbundles } from './resources/trust-bundles.ts';
import { persistentvolumeclaims, persistentvolumes } from './resources/volumes.ts';
import { typeSchema } from './schema.ts';

/** Of two rows with one plural the first wins the bare name. */
const ROWS: readonly Resource[] = [
  bindings,
  componentstatuses,
  configmaps,
  endpoints,
  events,
  limitranges,
  namespaces,
  nodes,
  persistentvolumeclaims,
  persistentvolumes,
  pods,
  podtemplates,
  replicationcontrollers,
  resourcequotas,
  secrets,
  serviceaccounts,
  services,
  mutatingadmissionpolicies,
  mutatingadmissionpolicybindings,
  mutatingwebhookconfigurations,
  validatingadmissionpolicies,
  validatingadmissionpolicybindings,
  validatingwebhookconfigurations,
  customresourcedefinitions,
  apiservices,
  controllerrevisions,
  daemonsets,
  deployments,
  replicasets,
  statefulsets,
  selfsubjectreviews,
  tokenreviews,
  localsubjectaccessreviews,
  selfsubjectaccessreviews,
  selfsubjectrulesreviews,
  subjectaccessreviews,
  horizontalpodautoscalers,
  horizontalpodautoscalersV1,
  cronjobs,
  jobs,
  certificatesigningrequests,
  clustertrustbundles,
  podcertificaterequests,
  leases,
  endpointslices,
  eventsEvents,
  flowschemas,
  prioritylevelconfigurations,
  ingressclasses,
  ingresses,
  ipaddresses,
  networkpolicies,
  servicecidrs,
  runtimeclasses,
  poddisruptionbudgets,
  clusterrolebindings,
  clusterroles,
  rolebindings,
  roles,
  deviceclasses,
  resourceclaims,
  resourceclaimtemplates,
  resourceslices,
  priorityclasses,
  csidrivers,
  csinodes,
  csistoragecapacities,
  storageclasses,
  volumeattachments,
  volumeattributesclasses,
  nodeMetrics,
  podMetrics,
];

/** Every built-in resource. */
export const allResources: readonly Resource[] = ROWS.map(withSpec);

/** An object sent without a spec has an empty one, as in Kubernetes, where it is no pointer. */
function withSpec(row: Resource): Resource {
  const filled = (object: ApiObject): ApiObject => {
    const isMissing = !('spec' in object) && typeSchema(row.type).fields.has('spec');
    return isMissing ? Object.assign({}, object, { spec: {} }) : object;
  };
  return { ...row, defaults: (object) => row.defaults?.(filled(object)) ?? filled(object) };
}

const byPath = new Map(
  allResources.map((row) => [pathOf(row.gvk[0], row.gvk[1], row.names.plural), row]),
);
const byKind = new Map(allResources.map((row) => [`${apiVersionOf(row)} ${row.gvk[2]}`, row]));
const byName = new Map<string, Resource>();
for (const row of allResources) {
  for (const name of [row.names.plural, `${row.names.plural}.${row.gvk[0]}`]) {
    if (!byName.has(name)) byName.set(name, row);
  }
}

function pathOf(group: string, version: string, plural: string): string {
  return `${group}/${version}/${plural}`;
}

/** "v1" or "apps/v1". */
export function apiVersionOf({ gvk: [group, version] }: Pick<Resource, 'gvk'>): string {
  return group ? `${group}/${version}` : version;
}

/** The row that an API path names. */
export function findResource(group: string, version: string, plural: string): Resource | undefined {
  return byPath.get(pathOf(group, version, plural));
}

/** The row that a client names: a plural, or `plural.group`; the core and the older group win the bare plural. */
export function resourceOf(name: string): Resource | undefined {
  return byName.get(name);
}

/** The row of an object's apiVersion and kind. */
export function resourceByKind(apiVersion: string, kind: string): Resource | undefined {
  return byKind.get(`${apiVersion} ${kind}`);
}

/** The name by which clients know a row: the inverse of resourceOf. */
export function nameOf(row: Resource): string {
  const { plural } = row.names;
  return byName.get(plural) === row ? plural : `${plural}.${row.gvk[0]}`;
}

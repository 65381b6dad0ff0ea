/** Nodes. */

import { change, fill } from '../defaulting.ts';
import {
  type Causes,
  each,
  immutable,
  requiredName,
  requiredOneOf,
  unique,
} from '../field-errors.ts';
import type { Node } from '../generated/types.ts';
import { qualifiedName } from '../names.ts';
import type { Column, Resource } from '../resource.ts';
import { AGE, listed, NAME, NONE, text, UNKNOWN, wide } from './columns.ts';
import { quantityDefaults } from './pod-defaults.ts';

const ROLE_PREFIX = 'node-role.kubernetes.io/';
const ROLE_LABEL = 'kubernetes.io/role';

function statusOf({ spec, status }: Node): string {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  const words = [ready ? (ready.status === 'True' ? 'Ready' : 'NotReady') : 'Unknown'];
  if (spec?.unschedulable) words.push('SchedulingDisabled');
  return words.join(',');
}

function rolesOf({ metadata }: Node): string {
  const roles = new Set<string>();
  for (const [key, value] of Object.entries(metadata.labels ?? {})) {
    if (key.startsWith(ROLE_PREFIX) && key.length > ROLE_PREFIX.length) {
      roles.add(key.slice(ROLE_PREFIX.length));
    } else if (key === ROLE_LABEL && value) roles.add(value);
  }
  return listed([...roles].toSorted());
}

function addressOf(type: string): (node: Node) => string {
  return ({ status }) => status?.addresses?.find((each) => each.type === type)?.address ?? NONE;
}

type Info = NonNullable<NonNullable<Node['status']>['nodeInfo']>;

function info(field: 'osImage' | 'kernelVersion' | 'containerRuntimeVersion') {
  return ({ status }: Node): string => (status?.nodeInfo as Info | undefined)?.[field] || UNKNOWN;
}

const COLUMNS: readonly Column<Node>[] = [
  NAME,
  text('Status', statusOf),
  text('Roles', rolesOf),
  AGE,
  text('Version', ({ status }) => status?.nodeInfo?.kubeletVersion ?? ''),
  wide(text('Internal-IP', addressOf('InternalIP'))),
  wide(text('External-IP', addressOf('ExternalIP'))),
  wide(text('OS-Image', info('osImage'))),
  wide(text('Kernel-Version', info('kernelVersion'))),
  wide(text('Container-Runtime', info('containerRuntimeVersion'))),
];

function validateNode({ spec }: Node): Causes {
  return [
    ...each('spec.taints', spec?.taints, ({ key, effect }, path) => [
      ...requiredName(`${path}.key`, key, qualifiedName),
      ...requiredOneOf(`${path}.effect`, effect, ['NoSchedule', 'PreferNoSchedule', 'NoExecute']),
    ]),
    ...unique(
      spec?.taints,
      ({ key, effect }) => `${key}:${effect}`,
      (index) => `spec.taints[${index}]`,
    ),
  ];
}

/** Once set, a node's pod range and provider never change. */
function validateNodeUpdate({ spec }: Node, { spec: old }: Node): Causes {
  return [
    ...(old?.podCIDRs?.length ? immutable('spec.podCIDRs', spec?.podCIDRs, old.podCIDRs) : []),
    ...(old?.providerID ? immutable('spec.providerID', spec?.providerID, old.providerID) : []),
  ];
}

export const nodes: Resource<Node> = {
  gvk: ['', 'v1', 'Node'],
  names: { plural: 'nodes', singular: 'node', short: ['no'] },
  namespaced: false,
  type: 'io.k8s.api.core.v1.Node',
  subresources: ['proxy', 'status'],
  fields: { 'spec.unschedulable': ({ spec }) => String(spec?.unschedulable ?? false) },
  defaults: (node) =>
    change(fill(node, { spec: {}, status: {} }), {
      spec: (spec) =>
        spec.podCIDR && !spec.podCIDRs ? { ...spec, podCIDRs: [spec.podCIDR] } : spec,
      status: (status) =>
        change(
          status.capacity && !status.allocatable
            ? { ...status, allocatable: status.capacity }
            : status,
          { capacity: quantityDefaults, allocatable: quantityDefaults },
        ),
    }),
  validate: validateNode,
  validateUpdate: validateNodeUpdate,
  columns: COLUMNS,
};

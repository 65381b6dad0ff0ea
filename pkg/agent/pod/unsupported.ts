/**
 * The one place that says what a pod may ask for and this node does not have. A pod that asks for something of these
 * tables is not started: it waits, and its status and an event name the field.
 */

import type {
  Container,
  Pod,
  PodSpec,
  SecurityContext,
  Volume,
  VolumeProjection,
} from '../../api/generated/types.ts';
import { isHugePages } from './huge-pages.ts';
import { allContainers } from './records.ts';
import { securityModules } from './security-modules.ts';

interface Row<T> {
  readonly field: string;
  readonly why: string;
  isUsed(part: T, spec: PodSpec): boolean;
}

const NO_SELINUX = 'SELinux is not enabled on it';
const NO_WINDOWS = 'this is a Linux node';
const NO_DRA = 'this node has no resource drivers';

/** Fields that a pod's and a container's securityContext have in common. */
const SECURITY: readonly Row<SecurityContext>[] = [
  {
    field: 'windowsOptions',
    why: NO_WINDOWS,
    isUsed: ({ windowsOptions }) => windowsOptions !== undefined,
  },
];

const SELINUX: Row<SecurityContext> = {
  field: 'seLinuxOptions',
  why: NO_SELINUX,
  isUsed: ({ seLinuxOptions = {} }) => Object.keys(seLinuxOptions).length > 0,
};

const POD: readonly Row<PodSpec>[] = [
  {
    field: 'os.name',
    why: NO_WINDOWS,
    isUsed: ({ os }) => os !== undefined && os.name !== 'linux',
  },
  {
    field: 'resourceClaims',
    why: NO_DRA,
    isUsed: ({ resourceClaims = [] }) => resourceClaims.length > 0,
  },
];

const CONTAINER: readonly Row<Container>[] = [
  {
    field: 'volumeDevices',
    why: 'in a user namespace (hostUsers: false) nobody may open a block volume',
    isUsed: ({ volumeDevices = [] }, { hostUsers }) =>
      hostUsers === false && volumeDevices.length > 0,
  },
  {
    field: 'resources.claims',
    why: NO_DRA,
    isUsed: ({ resources }) => (resources?.claims ?? []).length > 0,
  },
];

const VOLUME_KINDS: readonly (keyof Volume)[] = [
  'configMap',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'hostPath',
  'image',
  'persistentVolumeClaim',
  'projected',
  'secret',
];
const PROJECTIONS: readonly (keyof VolumeProjection)[] = [
  'clusterTrustBundle',
  'configMap',
  'downwardAPI',
  'podCertificate',
  'secret',
  'serviceAccountToken',
];
const MEDIA = ['', 'Memory'];

/** One sentence for each thing that keeps the pod from running on this node; empty when it may run. */
export function unsupportedIn(pod: Pod, modules = securityModules()): readonly string[] {
  const { spec } = pod;
  const rows = modules.hasSeLinux ? SECURITY : [...SECURITY, SELINUX];
  const { securityContext = {} } = spec;
  return [
    ...found('spec', POD, { part: spec, spec }),
    ...found('spec.securityContext', rows, { part: securityContext, spec }),
    ...(spec.volumes ?? []).flatMap(volume),
    ...allContainers(pod).flatMap((container) => {
      const path = `container "${container.name}"`;
      const part = container.securityContext ?? {};
      return [
        ...found(path, CONTAINER, { part: container, spec }),
        ...found(`${path} securityContext`, rows, { part, spec }),
      ];
    }),
  ];
}

function found<T>(
  path: string,
  rows: readonly Row<T>[],
  { part, spec }: { readonly part: T; readonly spec: PodSpec },
): readonly string[] {
  return rows
    .filter((row) => row.isUsed(part, spec))
    .map(({ field, why }) => refusal(`${path} ${field}`, why));
}

function refusal(what: string, why: string): string {
  return `${what} is not supported by this node: ${why}`;
}

function volume({ name, ...source }: Volume): readonly string[] {
  const path = `volume "${name}"`;
  const medium = source.emptyDir?.medium ?? '';
  if (!MEDIA.includes(medium) && !isHugePages(medium)) {
    return [refusal(`${path} emptyDir.medium: ${medium}`, 'it has Memory and HugePages')];
  }
  const kinds = Object.keys(source).filter((kind) => !VOLUME_KINDS.some((one) => one === kind));
  const projected = (source.projected?.sources ?? [])
    .flatMap((projection) => Object.keys(projection))
    .filter((kind) => !PROJECTIONS.some((one) => one === kind));
  return [
    ...kinds.map((kind) => refusal(`${path} ${kind}`, `it has ${VOLUME_KINDS.join(', ')}`)),
    ...projected.map((kind) =>
      refusal(`${path} projected.sources.${kind}`, `it has ${PROJECTIONS.join(', ')}`),
    ),
  ];
}

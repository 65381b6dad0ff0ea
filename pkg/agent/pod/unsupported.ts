/**
 * The one place that says what a pod may ask for and this node does not have. A pod that asks for something of the
 * first tables is not started: it waits, and its status and an event name the field. What can be run with less than
 * was asked for is in the last table: an event says what is missing.
 */

import type {
  Container,
  Pod,
  PodSpec,
  SecurityContext,
  Volume,
  VolumeProjection,
} from '../../api/generated/types.ts';
import { allContainers } from './records.ts';

interface Row<T> {
  readonly field: string;
  readonly why: string;
  isUsed(part: T, spec: PodSpec): boolean;
}

const NO_SECCOMP = 'this node has no seccomp filters';
const NO_APPARMOR = 'this node loads no AppArmor profiles';
const NO_SELINUX = 'this node sets no SELinux labels';
const NO_WINDOWS = 'this is a Linux node';
const NO_DRA = 'this node has no resource drivers';

/** Namespaced sysctls that cannot harm other pods, so that any pod may set them. Source: kubelet's safe set. */
const SAFE_SYSCTLS = [
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ping_group_range',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.tcp_wmem',
];

/** Fields that a pod's and a container's securityContext have in common. */
const SECURITY: readonly Row<SecurityContext>[] = [
  {
    field: 'seccompProfile.type: Localhost',
    why: NO_SECCOMP,
    isUsed: ({ seccompProfile }) => seccompProfile?.type === 'Localhost',
  },
  {
    field: 'appArmorProfile',
    why: NO_APPARMOR,
    isUsed: ({ appArmorProfile: one }) => one !== undefined && one.type !== 'Unconfined',
  },
  {
    field: 'seLinuxOptions',
    why: NO_SELINUX,
    isUsed: ({ seLinuxOptions = {} }) => Object.keys(seLinuxOptions).length > 0,
  },
  {
    field: 'windowsOptions',
    why: NO_WINDOWS,
    isUsed: ({ windowsOptions }) => windowsOptions !== undefined,
  },
];

const POD: readonly Row<PodSpec>[] = [
  {
    field: 'os.name',
    why: NO_WINDOWS,
    isUsed: ({ os }) => os !== undefined && os.name !== 'linux',
  },
  {
    field: 'runtimeClassName',
    why: 'this node has one runtime',
    isUsed: ({ runtimeClassName = '' }) => runtimeClassName !== '',
  },
  {
    field: 'resourceClaims',
    why: NO_DRA,
    isUsed: ({ resourceClaims = [] }) => resourceClaims.length > 0,
  },
  {
    field: 'securityContext.supplementalGroupsPolicy: Strict',
    why: 'groups of the image are always merged',
    isUsed: ({ securityContext }) => securityContext?.supplementalGroupsPolicy === 'Strict',
  },
];

const CONTAINER: readonly Row<Container>[] = [
  {
    field: 'securityContext.procMount: Unmasked',
    why: 'paths below /proc are always masked',
    isUsed: ({ securityContext }) => securityContext?.procMount === 'Unmasked',
  },
  {
    field: 'volumeDevices',
    why: 'this node has no block volumes',
    isUsed: ({ volumeDevices = [] }) => volumeDevices.length > 0,
  },
  {
    field: 'resources.claims',
    why: NO_DRA,
    isUsed: ({ resources }) => (resources?.claims ?? []).length > 0,
  },
  {
    field: 'env.valueFrom.fileKeyRef',
    why: 'this node reads no environment from files',
    isUsed: ({ env = [] }) => env.some(({ valueFrom }) => valueFrom?.fileKeyRef !== undefined),
  },
];

const VOLUME_KINDS: readonly (keyof Volume)[] = [
  'configMap',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'hostPath',
  'persistentVolumeClaim',
  'projected',
  'secret',
];
const PROJECTIONS: readonly (keyof VolumeProjection)[] = [
  'configMap',
  'downwardAPI',
  'secret',
  'serviceAccountToken',
];
const MEDIA = ['', 'Memory'];

/** One sentence for each thing that keeps the pod from running on this node; empty when it may run. */
export function unsupportedIn(pod: Pod): readonly string[] {
  const { spec } = pod;
  const { securityContext = {} } = spec;
  return [
    ...found('spec', POD, { part: spec, spec }),
    ...found('spec.securityContext', SECURITY, { part: securityContext, spec }),
    ...sysctls(spec),
    ...(spec.volumes ?? []).flatMap(volume),
    ...annotated(pod),
    ...allContainers(pod).flatMap((container) => {
      const path = `container "${container.name}"`;
      const part = container.securityContext ?? {};
      return [
        ...found(path, CONTAINER, { part: container, spec }),
        ...found(`${path} securityContext`, SECURITY, { part, spec }),
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

function sysctls({ securityContext }: PodSpec): readonly string[] {
  return (securityContext?.sysctls ?? [])
    .map(({ name }) => name.replaceAll('/', '.'))
    .filter((name) => !SAFE_SYSCTLS.includes(name))
    .map((name) => `forbidden sysctl: "${name}" not allowlisted`);
}

function volume({ name, ...source }: Volume): readonly string[] {
  const path = `volume "${name}"`;
  const medium = source.emptyDir?.medium ?? '';
  if (!MEDIA.includes(medium)) {
    return [refusal(`${path} emptyDir.medium: ${medium}`, 'this node has no huge pages')];
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

const APPARMOR_ANNOTATION = 'container.apparmor.security.beta.kubernetes.io/';

function annotated({ metadata }: Pod): readonly string[] {
  return Object.entries(metadata.annotations ?? {})
    .filter(([key, value]) => key.startsWith(APPARMOR_ANNOTATION) && value !== 'unconfined')
    .map(([key]) => refusal(`annotation ${key}`, NO_APPARMOR));
}

interface Shortfall {
  readonly message: string;
  isIn(pod: Pod): boolean;
}

const SHORTFALLS: readonly Shortfall[] = [
  {
    message: `seccompProfile RuntimeDefault is not enforced: ${NO_SECCOMP}, the containers run unconfined`,
    isIn: (pod) =>
      [pod.spec, ...allContainers(pod)].some(
        ({ securityContext }) => securityContext?.seccompProfile?.type === 'RuntimeDefault',
      ),
  },
];

/** One sentence for each thing that the pod asks for and runs without. */
export function notEnforcedIn(pod: Pod): readonly string[] {
  return SHORTFALLS.filter((row) => row.isIn(pod)).map(({ message }) => message);
}

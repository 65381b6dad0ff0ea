/** Flags of `mini server` and `mini agent`, with k3s's names and defaults where it has them. */

import { KUBELET_ARGS } from '../pkg/agent/node/kubelet-args.ts';
import { DEFAULT_CONFIG } from './add-command.ts';
import { type Flag, splitList } from './command.ts';
import { isDuration } from './durations.ts';
import {
  isAbsolutePath,
  isAddress,
  isCgroupPath,
  isDomain,
  isFileMode,
  isInterfaceName,
  isIpv4Address,
  isIpv4Block,
  isKubeletArg,
  isKubeletArgOf,
  isLabel,
  isNameOrAddress,
  isNodeName,
  isPort,
  isPriorityPeriod,
  isTaint,
  isToken,
} from './flag-checks.ts';
import { isRuntime } from './runtime-flag.ts';

const DEFAULT_DATA_DIR = '/var/lib/mini';
export const DEFAULT_RUN_DIR = '/run/mini';
export const DEFAULT_KUBECONFIG = '/etc/mini/kubeconfig.yaml';
const DEFAULT_PORT = 6443;

/** What --disable takes. */
const COMPONENTS = ['controllers', 'local-storage', 'scheduler'];

const FILES = 'Files:';
const LISTENER = 'API server:';
const CLUSTER = 'Cluster:';
const NODE = 'Node:';
const JOINING = 'Joining:';

/** Flags that server and agent share. */
export const COMMON_FLAGS: readonly Flag[] = [
  {
    name: 'config',
    short: 'c',
    value: 'file',
    help: 'YAML file with settings',
    default: DEFAULT_CONFIG,
    group: FILES,
  },
  {
    name: 'data-dir',
    short: 'd',
    value: 'dir',
    help: 'what must survive a reboot: state, keys, images, volumes',
    default: DEFAULT_DATA_DIR,
    check: isAbsolutePath,
    group: FILES,
  },
  {
    name: 'run-dir',
    value: 'dir',
    help: 'run-time files, on a tmpfs',
    default: DEFAULT_RUN_DIR,
    check: isAbsolutePath,
    group: FILES,
  },
  {
    name: 'token',
    short: 't',
    value: 'token',
    help: 'shared secret with which nodes join',
    check: isToken,
    isSecret: true,
    group: JOINING,
  },
  { name: 'token-file', value: 'file', help: 'file that holds the token', group: JOINING },
  {
    name: 'log-level',
    value: 'level',
    help: 'what is logged, to standard error',
    default: 'info',
    choices: ['debug', 'info', 'warn', 'error'],
  },
];

/** Flags about the node itself. */
export const NODE_FLAGS: readonly Flag[] = [
  {
    name: 'node-name',
    value: 'name',
    help: 'name of this node; the host name when absent',
    check: isNodeName,
    group: NODE,
  },
  {
    name: 'node-ip',
    short: 'i',
    value: 'ip',
    help: 'address of this node; the first one of its interfaces when absent',
    isList: true,
    check: isAddress,
    group: NODE,
  },
  {
    name: 'node-label',
    value: 'key=value',
    help: 'label that the node registers with',
    isList: true,
    check: isLabel,
    group: NODE,
  },
  {
    name: 'node-taint',
    value: 'key=value:effect',
    help: 'taint that the node registers with',
    isList: true,
    check: isTaint,
    group: NODE,
  },
  {
    name: 'bridge',
    value: 'name',
    help: 'network interface of the pods; another for each mini on a host',
    default: 'mini0',
    check: isInterfaceName,
    group: NODE,
  },
  {
    name: 'cgroup-root',
    value: 'path',
    help: 'cgroup of all pods; another for each mini on a host',
    default: '/mini',
    check: isCgroupPath,
    group: NODE,
  },
  {
    name: 'pod-manifest-path',
    value: 'dir',
    help: 'manifests of pods that this node runs by itself; <data-dir>/agent/pod-manifests when absent',
    check: isAbsolutePath,
    group: NODE,
  },
  {
    name: 'max-pods',
    value: 'number',
    help: 'pods that this node takes',
    check: isKubeletArgOf('max-pods'),
    group: NODE,
  },
  {
    name: 'kubelet-arg',
    value: 'name=value',
    help: `setting of the node as the kubelet names it: ${KUBELET_ARGS.join(', ')}`,
    isList: true,
    hasCommas: true,
    check: isKubeletArg,
    group: NODE,
  },
  {
    name: 'runtime',
    value: 'name=path[,arg...]',
    help: 'another OCI runtime, for pods whose RuntimeClass has this name as its handler',
    isList: true,
    hasCommas: true,
    check: isRuntime,
    group: NODE,
  },
  {
    name: 'shutdown-grace-period',
    value: 'duration',
    help: 'SIGTERM means that the host goes down: pods are ended first, within this time; 0 = they go on',
    default: '0',
    check: isDuration,
    group: NODE,
  },
  {
    name: 'shutdown-grace-period-critical-pods',
    value: 'duration',
    help: 'the last part of it, for critical pods',
    default: '0',
    check: isDuration,
    group: NODE,
  },
  {
    name: 'shutdown-grace-period-by-pod-priority',
    value: 'priority=seconds',
    help: 'instead of these two: time for pods of this priority and above',
    isList: true,
    check: isPriorityPeriod,
    group: NODE,
  },
];

export const SERVER_FLAGS: readonly Flag[] = [
  ...COMMON_FLAGS,
  {
    name: 'agent-token',
    value: 'token',
    help: 'another secret, for agents only',
    check: isToken,
    isSecret: true,
    group: JOINING,
  },
  {
    name: 'write-kubeconfig',
    short: 'o',
    value: 'file',
    help: "where to write the administrator's kubeconfig",
    default: DEFAULT_KUBECONFIG,
    check: isAbsolutePath,
    group: FILES,
  },
  {
    name: 'write-kubeconfig-mode',
    value: 'mode',
    help: 'its file mode',
    default: '600',
    check: isFileMode,
    group: FILES,
  },
  {
    name: 'bind-address',
    value: 'ip',
    help: 'address to listen on',
    default: '0.0.0.0',
    check: isAddress,
    group: LISTENER,
  },
  {
    name: 'https-listen-port',
    value: 'port',
    help: 'port to listen on, for clients and nodes',
    default: DEFAULT_PORT,
    check: isPort,
    group: LISTENER,
  },
  {
    name: 'tls-san',
    value: 'name',
    help: 'further host name or address in the certificate of the server',
    isList: true,
    check: isNameOrAddress,
    group: LISTENER,
  },
  {
    name: 'cluster-cidr',
    value: 'cidr',
    help: 'addresses of pods',
    default: '10.42.0.0/16',
    check: isIpv4Block,
    group: CLUSTER,
  },
  {
    name: 'service-cidr',
    value: 'cidr',
    help: 'addresses of services',
    default: '10.43.0.0/16',
    check: isIpv4Block,
    group: CLUSTER,
  },
  {
    name: 'cluster-dns',
    value: 'ip',
    help: 'address that pods ask for names; the tenth of --service-cidr when absent',
    check: isIpv4Address,
    group: CLUSTER,
  },
  {
    name: 'cluster-domain',
    value: 'domain',
    help: 'DNS domain of the cluster',
    default: 'cluster.local',
    check: isDomain,
    group: CLUSTER,
  },
  {
    name: 'disable',
    value: 'component',
    help: `component not to run: ${COMPONENTS.join(' or ')}`,
    isList: true,
    check: isComponent,
    group: CLUSTER,
  },
  { name: 'disable-agent', help: 'run no pods on this host', group: NODE },
  ...NODE_FLAGS,
];

function isComponent(value: string): string | undefined {
  if (splitList(value).every((item) => COMPONENTS.includes(item))) return undefined;
  return `mini has no such component to disable; there are ${COMPONENTS.join(', ')}`;
}

/** Flags of `mini server`, with k3s's names and defaults where it has them. */

import { DEFAULT_CONFIG, type Flag } from './command.ts';

export const DEFAULT_DATA_DIR = '/var/lib/mini';
export const DEFAULT_RUN_DIR = '/run/mini';
export const DEFAULT_KUBECONFIG = '/etc/mini/kubeconfig.yaml';

/** Flags that server and agent share. */
export const COMMON_FLAGS: readonly Flag[] = [
  {
    name: 'config',
    short: 'c',
    value: 'file',
    help: 'YAML file with flags',
    default: DEFAULT_CONFIG,
  },
  {
    name: 'data-dir',
    short: 'd',
    value: 'dir',
    help: 'what must survive a reboot',
    default: DEFAULT_DATA_DIR,
  },
  { name: 'run-dir', value: 'dir', help: 'run-time files; on a tmpfs', default: DEFAULT_RUN_DIR },
  { name: 'token', short: 't', value: 'token', help: 'shared secret with which nodes join' },
  { name: 'token-file', value: 'file', help: 'file that holds the token' },
  {
    name: 'log-level',
    value: 'level',
    help: 'what is logged',
    default: 'info',
    choices: ['debug', 'info', 'warn', 'error'],
  },
];

/** Flags about the node itself. */
export const NODE_FLAGS: readonly Flag[] = [
  { name: 'node-name', value: 'name', help: 'name of this node (default: the host name)' },
  {
    name: 'node-ip',
    short: 'i',
    value: 'ip',
    help: 'address to advertise for this node',
    isList: true,
  },
  {
    name: 'node-label',
    value: 'key=value',
    help: 'label of this node, on its registration',
    isList: true,
  },
  {
    name: 'node-taint',
    value: 'key=value:effect',
    help: 'taint of this node, on its registration',
    isList: true,
  },
  {
    name: 'bridge',
    value: 'name',
    help: 'network interface of the pods; one for each mini on a machine',
    default: 'mini0',
  },
  {
    name: 'cgroup-root',
    value: 'path',
    help: 'parent cgroup of all pods; one for each mini on a machine',
    default: '/mini',
  },
];

export const SERVER_FLAGS: readonly Flag[] = [
  ...COMMON_FLAGS,
  {
    name: 'write-kubeconfig',
    short: 'o',
    value: 'file',
    help: 'write the admin kubeconfig here',
    default: DEFAULT_KUBECONFIG,
  },
  {
    name: 'write-kubeconfig-mode',
    value: 'mode',
    help: 'file mode of the kubeconfig',
    default: '600',
  },
  { name: 'bind-address', value: 'ip', help: 'address to listen on', default: '0.0.0.0' },
  {
    name: 'https-listen-port',
    value: 'port',
    help: 'port to listen on',
    default: 6443,
    isNumber: true,
  },
  {
    name: 'tls-san',
    value: 'name',
    help: 'further host name or address of the server certificate',
    isList: true,
  },
  { name: 'cluster-cidr', value: 'cidr', help: 'addresses of pods', default: '10.42.0.0/16' },
  { name: 'service-cidr', value: 'cidr', help: 'addresses of services', default: '10.43.0.0/16' },
  {
    name: 'cluster-dns',
    value: 'ip',
    help: 'address of the cluster DNS (default: the tenth of --service-cidr)',
  },
  {
    name: 'cluster-domain',
    value: 'domain',
    help: 'DNS domain of the cluster',
    default: 'cluster.local',
  },
  { name: 'agent-token', value: 'token', help: 'shared secret for agents only (default: --token)' },
  { name: 'disable', value: 'component', help: 'component not to run', isList: true },
  { name: 'disable-agent', help: 'run no pods on this host' },
  ...NODE_FLAGS,
];

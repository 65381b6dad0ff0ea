/** What the values of flags must look like. Each answers why a value is wrong, or undefined when it is right. */

import { isIP, isIPv4 } from 'node:net';
import { parseKubeletArgs } from '../pkg/agent/node/kubelet-args.ts';
import { describe } from '../pkg/log/log.ts';
import { parseToken } from '../pkg/pki/token.ts';

const NAME_MAX = 253;
const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;
const DNS_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
/** The kernel's limit: IFNAMSIZ with its final zero. */
const INTERFACE_NAME = /^[A-Za-z0-9][-A-Za-z0-9_.]{0,14}$/;
const EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];
const PORT_MAX = 65_535;
/** A block must hold a network address and at least two others. */
const PREFIX_BITS_MAX = 30;

type Check = (value: string) => string | undefined;

export const isAddress: Check = (value) =>
  isIP(value) ? undefined : 'it must be an IP address, such as 10.0.0.1';

export const isIpv4Address: Check = (value) =>
  isIPv4(value) ? undefined : 'it must be an IPv4 address, such as 10.43.0.10';

export const isPort: Check = (value) =>
  /^\d+$/.test(value) && Number(value) >= 1 && Number(value) <= PORT_MAX
    ? undefined
    : `it must be a port from 1 to ${PORT_MAX}`;

export const isIpv4Block: Check = (value) => {
  if (value.includes(',')) return 'it takes one IPv4 block: this version serves one address family';
  const [address = '', bits = '', ...rest] = value.split('/');
  const isRight =
    isIPv4(address) && /^\d+$/.test(bits) && Number(bits) <= PREFIX_BITS_MAX && rest.length === 0;
  return isRight ? undefined : 'it must be an IPv4 block with room for addresses: 10.42.0.0/16';
};

export const isFileMode: Check = (value) =>
  /^0?[0-7]{3}$/.test(value) ? undefined : 'it must be a file mode in octal, such as 600 or 0644';

export const isNameOrAddress: Check = (value) =>
  isIP(value) || isDnsName(value.replace(/^\*\./, ''))
    ? undefined
    : 'it must be a host name or an IP address';

export const isNodeName: Check = (value) =>
  isDnsName(value)
    ? undefined
    : 'it must consist of lower-case letters, digits, - and ., and start and end with a letter or digit';

export const isDomain: Check = (value) =>
  isDnsName(value) ? undefined : 'it must be a DNS domain, such as cluster.local';

export const isServerUrl: Check = (value) => {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  return url?.protocol === 'https:' && url.hostname !== ''
    ? undefined
    : 'it must be a URL such as https://10.0.0.1:6443';
};

export const isToken: Check = (value) => {
  try {
    parseToken(value);
    return undefined;
  } catch (error) {
    return describe(error);
  }
};

export const isKubeletArg: Check = (value) => {
  try {
    parseKubeletArgs([value]);
    return undefined;
  } catch (error) {
    return describe(error);
  }
};

/** The check of a flag that is short for one of them. */
export function isKubeletArgOf(name: string): Check {
  return (value) => isKubeletArg(`${name}=${value}`)?.replace(`${name}: `, '');
}

export const isPriorityPeriod: Check = (value) =>
  /^-?\d{1,10}=\d{1,6}$/.test(value)
    ? undefined
    : 'it must be a priority and seconds, such as 1000=60';

export const isLabel: Check = (value) => {
  const at = value.indexOf('=');
  return at > 0 && isLabelKey(value.slice(0, at)) && LABEL_VALUE.test(value.slice(at + 1))
    ? undefined
    : 'it must be key=value';
};

export const isTaint: Check = (value) => {
  const [, key = '', content = '', effect = ''] = /^([^=:]+)(?:=([^:]*))?:(\w+)$/.exec(value) ?? [];
  return isLabelKey(key) && LABEL_VALUE.test(content) && EFFECTS.includes(effect)
    ? undefined
    : `it must be key=value:effect, the effect one of ${EFFECTS.join(', ')}`;
};

export const isInterfaceName: Check = (value) =>
  INTERFACE_NAME.test(value)
    ? undefined
    : 'it must be an interface name: up to 15 letters, digits, -, _ and .';

export const isCgroupPath: Check = (value) =>
  /^(\/[\w.-]+)+$/.test(value) && !/\/\.\.?(\/|$)/.test(value)
    ? undefined
    : 'it must be a path below the cgroup root, such as /mini';

export const isAbsolutePath: Check = (value) =>
  value.startsWith('/') ? undefined : 'it must be an absolute path';

function isDnsName(value: string): boolean {
  return value.length <= NAME_MAX && DNS_NAME.test(value);
}

function isLabelKey(key: string): boolean {
  const [prefix, name] = key.includes('/') ? key.split('/', 2) : [undefined, key];
  const isPrefixRight = prefix === undefined || isDnsName(prefix);
  return isPrefixRight && name !== undefined && name !== '' && LABEL_VALUE.test(name);
}

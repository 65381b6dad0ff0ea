/** What Services and Endpoints must be. Source: kubernetes pkg/apis/core/validation. */

import { isIP } from 'node:net';
import {
  type Causes,
  each,
  forbiddenField,
  immutable,
  invalidEach,
  invalidValue,
  oneOf,
  required,
  requiredName,
  requiredOneOf,
  unique,
} from '../field-errors.ts';
import type { Endpoints, Service, ServicePort, ServiceSpec } from '../generated/types.ts';
import { validateLabels } from '../meta-validation.ts';
import { dnsLabel, dnsSubdomain, portName, portNumber } from '../names.ts';

const TYPES = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
const PROTOCOLS = ['SCTP', 'TCP', 'UDP'];
const NOT_AN_IP = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';
const AFFINITY_MAX_SECONDS = 86_400;

/** One line for an address that is none. */
export function ipCauses(field: string, value: string): Causes {
  return isIP(value) ? [] : [invalidValue(field, value, NOT_AN_IP)];
}

export function validateService({ spec }: Service): Causes {
  return [
    ...requiredOneOf('spec.type', spec.type, TYPES),
    ...requiredOneOf('spec.sessionAffinity', spec.sessionAffinity, ['ClientIP', 'None']),
    ...validateLabels('spec.selector', spec.selector),
    ...portsCauses(spec),
    ...affinityCauses(spec),
    ...typeCauses(spec),
    ...addressCauses(spec),
    ...policyCauses(spec),
  ];
}

function portsCauses(spec: ServiceSpec): Causes {
  const field = 'spec.ports';
  const list = spec.ports ?? [];
  const isHeadless = spec.clusterIP === 'None';
  if (list.length === 0 && !isHeadless && spec.type !== 'ExternalName') return [required(field)];
  const isSeveral = list.length > 1;
  return [
    ...each(field, list, (port, path) => portCauses(port, path, isSeveral)),
    ...unique(
      list,
      ({ name }) => name,
      (index) => `${field}[${index}].name`,
    ),
    ...unique(
      list,
      ({ port, protocol }) => `${protocol}/${port}`,
      (index) => `${field}[${index}]`,
    ),
  ];
}

function portCauses(port: ServicePort, path: string, isSeveral: boolean): Causes {
  const { name, targetPort } = port;
  const target = targetPort ?? port.port;
  return [
    ...(isSeveral && !name ? [required(`${path}.name`)] : []),
    ...(name ? invalidEach(`${path}.name`, name, dnsLabel(name)) : []),
    ...invalidEach(`${path}.port`, port.port, portNumber(port.port)),
    ...requiredOneOf(`${path}.protocol`, port.protocol, PROTOCOLS),
    ...(typeof target === 'number'
      ? invalidEach(`${path}.targetPort`, target, portNumber(target))
      : invalidEach(`${path}.targetPort`, target, portName(target))),
  ];
}

function affinityCauses(spec: ServiceSpec): Causes {
  const field = 'spec.sessionAffinityConfig.clientIP.timeoutSeconds';
  const seconds = spec.sessionAffinityConfig?.clientIP?.timeoutSeconds;
  if (seconds === undefined) return [];
  return seconds > 0 && seconds <= AFFINITY_MAX_SECONDS
    ? []
    : [
        invalidValue(
          field,
          seconds,
          `must be greater than 0 and less than ${AFFINITY_MAX_SECONDS}`,
        ),
      ];
}

function typeCauses(spec: ServiceSpec): Causes {
  const { type, externalName = '' } = spec;
  if (type === 'ExternalName') {
    const name = externalName.replace(/\.$/, '');
    return [
      ...(spec.clusterIP
        ? [forbiddenField('spec.clusterIPs[0]', 'may not be set for ExternalName services')]
        : []),
      ...requiredName('spec.externalName', name, dnsSubdomain),
    ];
  }
  const isExternal = type === 'NodePort' || type === 'LoadBalancer';
  const nodePorts = each('spec.ports', spec.ports, ({ nodePort }, path) =>
    nodePort && !isExternal
      ? [forbiddenField(`${path}.nodePort`, "may not be used when `type` is 'ClusterIP'")]
      : [],
  );
  const headless =
    isExternal && spec.clusterIP === 'None'
      ? [
          invalidValue(
            'spec.clusterIPs[0]',
            'None',
            `may not be set to 'None' for ${type} services`,
          ),
        ]
      : [];
  return [...nodePorts, ...headless];
}

function addressCauses(spec: ServiceSpec): Causes {
  const isNone = spec.clusterIP === 'None';
  return [
    ...(isNone ? [] : each('spec.clusterIPs', spec.clusterIPs, (ip, path) => ipCauses(path, ip))),
    ...each('spec.externalIPs', spec.externalIPs, (ip, path) => ipCauses(path, ip)),
    ...(spec.clusterIP && spec.clusterIPs?.[0] && spec.clusterIP !== spec.clusterIPs[0]
      ? [invalidValue('spec.clusterIPs', spec.clusterIPs, 'first value must match `clusterIP`')]
      : []),
    ...each('spec.ipFamilies', spec.ipFamilies, (family, path) =>
      oneOf(path, family, ['IPv4', 'IPv6']),
    ),
  ];
}

function policyCauses(spec: ServiceSpec): Causes {
  const policies = ['Cluster', 'Local'];
  return [
    ...oneOf('spec.externalTrafficPolicy', spec.externalTrafficPolicy, policies),
    ...oneOf('spec.internalTrafficPolicy', spec.internalTrafficPolicy, policies),
    ...oneOf('spec.ipFamilyPolicy', spec.ipFamilyPolicy, [
      'PreferDualStack',
      'RequireDualStack',
      'SingleStack',
    ]),
    ...oneOf('spec.trafficDistribution', spec.trafficDistribution, [
      'PreferClose',
      'PreferSameNode',
      'PreferSameZone',
    ]),
  ];
}

/** An allocated address stays, unless the type goes to or from ExternalName. */
export function validateServiceUpdate({ spec }: Service, { spec: old }: Service): Causes {
  const isClass = old.type === 'LoadBalancer' && spec.type === 'LoadBalancer';
  const classes = isClass
    ? immutable('spec.loadBalancerClass', spec.loadBalancerClass, old.loadBalancerClass).map(
        ({ field = '' }) => invalidValue(field, spec.loadBalancerClass, 'may not change once set'),
      )
    : [];
  if (old.type === 'ExternalName' || spec.type === 'ExternalName' || !old.clusterIP) return classes;
  if (spec.clusterIP === old.clusterIP) return classes;
  return [
    ...classes,
    invalidValue('spec.clusterIPs[0]', [spec.clusterIP], 'may not change once set'),
  ];
}

export function validateEndpoints({ subsets }: Endpoints): Causes {
  return each('subsets', subsets, (subset, path) => [
    ...(subset.addresses?.length || subset.notReadyAddresses?.length
      ? []
      : [required(path, 'must specify `addresses` or `notReadyAddresses`')]),
    ...each(`${path}.addresses`, subset.addresses, ({ ip }, at) => ipCauses(`${at}.ip`, ip)),
    ...each(`${path}.notReadyAddresses`, subset.notReadyAddresses, ({ ip }, at) =>
      ipCauses(`${at}.ip`, ip),
    ),
    ...each(`${path}.ports`, subset.ports, ({ name, port, protocol }, at) => [
      ...((subset.ports?.length ?? 0) > 1 && !name ? [required(`${at}.name`)] : []),
      ...invalidEach(`${at}.port`, port, portNumber(port)),
      ...requiredOneOf(`${at}.protocol`, protocol, PROTOCOLS),
    ]),
  ]);
}

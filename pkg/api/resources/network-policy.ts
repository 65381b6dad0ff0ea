/** NetworkPolicies. */

import { change, each as eachItem, fill } from '../defaulting.ts';
import {
  type Causes,
  each,
  forbiddenField,
  invalidEach,
  invalidValue,
  oneOf,
  required,
} from '../field-errors.ts';
import type {
  NetworkPolicy,
  NetworkPolicyPeer,
  NetworkPolicyPort,
  NetworkPolicySpec,
} from '../generated/types.ts';
import { portName, portNumber } from '../names.ts';
import type { Resource } from '../resource.ts';
import { showSelector } from '../selectors.ts';
import { AGE, NAME, text } from './columns.ts';
import { cidrCauses } from './ip-validation.ts';
import { validateSelector } from './selector-validation.ts';

function portDefaults(port: NetworkPolicyPort): NetworkPolicyPort {
  return fill(port, { protocol: 'TCP' });
}

function specDefaults(spec: NetworkPolicySpec): NetworkPolicySpec {
  const policyTypes = spec.egress?.length ? ['Ingress', 'Egress'] : ['Ingress'];
  const isTyped = Boolean(spec.policyTypes?.length);
  return change(fill(isTyped ? spec : { ...spec, policyTypes }, { podSelector: {} }), {
    ingress: eachItem((rule) => change(rule, { ports: eachItem(portDefaults) })),
    egress: eachItem((rule) => change(rule, { ports: eachItem(portDefaults) })),
  });
}

function peerCauses(peer: NetworkPolicyPeer, path: string): Causes {
  const { ipBlock, podSelector, namespaceSelector } = peer;
  if (!ipBlock && !podSelector && !namespaceSelector)
    return [required(path, 'must specify a peer')];
  const isMixed = ipBlock && (podSelector || namespaceSelector);
  return [
    ...(isMixed ? [forbiddenField(path, 'may not specify both ipBlock and another peer')] : []),
    ...validateSelector(`${path}.podSelector`, podSelector),
    ...validateSelector(`${path}.namespaceSelector`, namespaceSelector),
    ...(ipBlock ? cidrCauses(`${path}.ipBlock.cidr`, ipBlock.cidr ?? '') : []),
    ...each(`${path}.ipBlock.except`, ipBlock?.except, (cidr, at) => cidrCauses(at, cidr)),
  ];
}

function portCauses({ protocol, port, endPort }: NetworkPolicyPort, path: string): Causes {
  const known = oneOf(`${path}.protocol`, protocol, ['SCTP', 'TCP', 'UDP']);
  if (port === undefined) {
    return endPort === undefined
      ? known
      : [
          ...known,
          invalidValue(
            `${path}.endPort`,
            endPort,
            'may not be specified when `port` is not specified',
          ),
        ];
  }
  if (typeof port === 'string') {
    const named = invalidEach(`${path}.port`, port, portName(port));
    return endPort === undefined
      ? [...known, ...named]
      : [
          ...known,
          ...named,
          invalidValue(
            `${path}.endPort`,
            endPort,
            'may not be specified when `port` is non-numeric',
          ),
        ];
  }
  const isBelow = endPort !== undefined && endPort < port;
  return [
    ...known,
    ...invalidEach(`${path}.port`, port, portNumber(port)),
    ...(isBelow
      ? [invalidValue(`${path}.endPort`, endPort, 'must be greater than or equal to `port`')]
      : []),
  ];
}

function policyCauses({ spec }: NetworkPolicy): Causes {
  return [
    ...validateSelector('spec.podSelector', spec.podSelector),
    ...each('spec.ingress', spec.ingress, ({ ports, from }, path) => [
      ...each(`${path}.ports`, ports, portCauses),
      ...each(`${path}.from`, from, peerCauses),
    ]),
    ...each('spec.egress', spec.egress, ({ ports, to }, path) => [
      ...each(`${path}.ports`, ports, portCauses),
      ...each(`${path}.to`, to, peerCauses),
    ]),
    ...each('spec.policyTypes', spec.policyTypes, (type, path) =>
      oneOf(path, type, ['Egress', 'Ingress']),
    ),
  ];
}

export const networkpolicies: Resource<NetworkPolicy> = {
  gvk: ['networking.k8s.io', 'v1', 'NetworkPolicy'],
  names: { plural: 'networkpolicies', singular: 'networkpolicy', short: ['netpol'] },
  namespaced: true,
  type: 'io.k8s.api.networking.v1.NetworkPolicy',
  hasGeneration: true,
  defaults: (policy) => change(fill(policy, { spec: {} }), { spec: specDefaults }),
  validate: policyCauses,
  columns: [NAME, text('Pod-Selector', ({ spec }) => showSelector(spec.podSelector)), AGE],
};

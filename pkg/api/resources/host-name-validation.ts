/** What a pod may ask of its host name, /etc/hosts and resolver. Source: kubernetes pkg/apis/core/validation. */

import {
  type Causes,
  each,
  forbiddenField,
  invalidEach,
  invalidValue,
  required,
  requiredOneOf,
  tooLong,
} from '../field-errors.ts';
import type { PodSpec } from '../generated/types.ts';
import { dnsLabel, dnsSubdomain } from '../names.ts';
import { ipCauses } from './service-validation.ts';

/** What the kernel keeps as a host name, in bytes. */
const HOST_NAME_MAX = 64;
const DNS_POLICIES = ['ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None'];
const DNS_SERVERS_MAX = 3;
const DNS_SEARCHES_MAX = 32;
const DNS_SEARCH_CHARACTERS_MAX = 2048;

/** Host name, sub-domain, and names of other hosts. */
export function hostNameCauses(spec: PodSpec, field: string): Causes {
  const { hostname, subdomain } = spec;
  return [
    ...(hostname ? invalidEach(`${field}.hostname`, hostname, dnsLabel(hostname)) : []),
    ...(subdomain ? invalidEach(`${field}.subdomain`, subdomain, dnsLabel(subdomain)) : []),
    ...overrideCauses(spec, field),
    ...each(`${field}.hostAliases`, spec.hostAliases, ({ ip, hostnames }, path) => [
      ...ipCauses(`${path}.ip`, ip),
      ...each(`${path}.hostnames`, hostnames, (name, at) =>
        invalidEach(at, name, dnsSubdomain(name)),
      ),
    ]),
  ];
}

function overrideCauses(
  { hostnameOverride: name, setHostnameAsFQDN, hostNetwork }: PodSpec,
  field: string,
): Causes {
  if (name === undefined) return [];
  const path = `${field}.hostnameOverride`;
  const why = 'may not be true when `hostnameOverride` is set';
  return [
    ...(setHostnameAsFQDN ? [forbiddenField(`${field}.setHostnameAsFQDN`, why)] : []),
    ...(hostNetwork ? [forbiddenField(`${field}.hostNetwork`, why)] : []),
    ...(name.length > HOST_NAME_MAX ? [tooLong(path, HOST_NAME_MAX)] : []),
    ...invalidEach(path, name, dnsSubdomain(name)),
  ];
}

/** Policy and settings of the resolver. */
export function dnsCauses({ dnsPolicy, dnsConfig }: PodSpec, field: string): Causes {
  const path = `${field}.dnsConfig`;
  const servers = dnsConfig?.nameservers ?? [];
  const isNone = dnsPolicy === 'None';
  return [
    ...requiredOneOf(`${field}.dnsPolicy`, dnsPolicy, DNS_POLICIES),
    ...(isNone && !dnsConfig
      ? [required(path, 'must provide `dnsConfig` when `dnsPolicy` is None')]
      : []),
    ...(isNone && dnsConfig && servers.length === 0
      ? [
          required(
            `${path}.nameservers`,
            'must provide at least one DNS nameserver when `dnsPolicy` is None',
          ),
        ]
      : []),
    ...(servers.length > DNS_SERVERS_MAX
      ? [
          invalidValue(
            `${path}.nameservers`,
            servers,
            `must not have more than ${DNS_SERVERS_MAX} nameservers`,
          ),
        ]
      : []),
    ...each(`${path}.nameservers`, servers, (server, at) => ipCauses(at, server)),
    ...searchCauses(dnsConfig?.searches ?? [], `${path}.searches`),
    ...each(`${path}.options`, dnsConfig?.options, ({ name }, at) =>
      name ? [] : [required(at, 'must not be empty')],
    ),
  ];
}

function searchCauses(searches: readonly string[], path: string): Causes {
  const length = searches.join(' ').length;
  const many = `must not have more than ${DNS_SEARCHES_MAX} search paths`;
  const long = `must not have more than ${DNS_SEARCH_CHARACTERS_MAX} characters (including spaces) in the search list`;
  return [
    ...(searches.length > DNS_SEARCHES_MAX ? [invalidValue(path, searches, many)] : []),
    ...(length > DNS_SEARCH_CHARACTERS_MAX ? [invalidValue(path, searches, long)] : []),
    ...each(path, searches, (search, at) => {
      // A lone dot is the root; underscores are in names of services.
      const name = search === '.' ? 'root' : search.replace(/\.$/, '').replaceAll('_', '-x');
      return invalidEach(at, search, dnsSubdomain(name.replace(/^-x/, 'x')));
    }),
  ];
}

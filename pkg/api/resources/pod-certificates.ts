/** PodCertificateRequests: a node asks a signer for a certificate of one of its pods. */

import { X509Certificate } from 'node:crypto';
import { fill } from '../defaulting.ts';
import { type Causes, immutable, invalidValue, isSame, required } from '../field-errors.ts';
import type { PodCertificateRequest } from '../generated/types.ts';
import { pemBlocks } from '../pem.ts';
import type { Resource } from '../resource.ts';
import { AGE, NAME, text } from './columns.ts';
import { signerCauses } from './signer-names.ts';

/** A day. */
export const DEFAULT_CERTIFICATE_SECONDS = 86_400;
const MIN_SECONDS = 3600;
const MAX_SECONDS = 7_862_400;
const DECISIONS = ['Issued', 'Denied', 'Failed'];
const OMITTED = '<value omitted>';

/** How long a certificate may be valid, of a request or of a volume. */
export function expirationCauses(field: string, seconds: number | undefined): Causes {
  if (seconds === undefined || (seconds >= MIN_SECONDS && seconds <= MAX_SECONDS)) return [];
  return [invalidValue(field, seconds, `must be in the range [${MIN_SECONDS}, ${MAX_SECONDS}]`)];
}

function specCauses({ spec }: PodCertificateRequest): Causes {
  const needed = ['podName', 'podUID', 'serviceAccountName', 'serviceAccountUID'] as const;
  const ofNode = ['nodeName', 'nodeUID', 'stubPKCS10Request'] as const;
  return [
    ...signerCauses('spec.signerName', spec.signerName),
    ...[...needed, ...ofNode].flatMap((key) => (spec[key] ? [] : [required(`spec.${key}`)])),
    ...expirationCauses('spec.maxExpirationSeconds', spec.maxExpirationSeconds),
  ];
}

function decisionOf({ status }: PodCertificateRequest): string | undefined {
  return status?.conditions?.find(({ type }) => DECISIONS.includes(type))?.type;
}

function statusCauses(request: PodCertificateRequest): Causes {
  const {
    conditions = [],
    certificateChain,
    notBefore,
    notAfter,
    beginRefreshAt,
  } = request.status ?? {};
  const decisions = conditions.filter(({ type }) => DECISIONS.includes(type));
  const more = decisions.slice(1).map(({ type }) => {
    const why = 'there may be at most one condition with type "Issued", "Denied", or "Failed"';
    return invalidValue('status.conditions', type, why);
  });
  const untrue = decisions
    .filter(({ status }) => status !== 'True')
    .map(({ type, status }) =>
      invalidValue('status.conditions', status, `${type} must have status "True"`),
    );
  if (decisionOf(request) !== 'Issued') {
    const why = 'can only be set together with the condition "Issued"';
    return [
      ...more,
      ...untrue,
      ...(certificateChain ? [invalidValue('status.certificateChain', OMITTED, why)] : []),
    ];
  }
  return [
    ...more,
    ...untrue,
    ...(certificateChain ? chainCauses(certificateChain) : [required('status.certificateChain')]),
    ...(notBefore ? [] : [required('status.notBefore')]),
    ...(notAfter ? [] : [required('status.notAfter')]),
    ...(beginRefreshAt ? [] : [required('status.beginRefreshAt')]),
  ];
}

function chainCauses(chain: string): Causes {
  const field = 'status.certificateChain';
  const blocks = pemBlocks(chain);
  if (blocks.length === 0) {
    return [invalidValue(field, OMITTED, 'must consist of one or more PEM-formatted certificates')];
  }
  return blocks.flatMap(({ label, der }, index) => {
    if (label !== 'CERTIFICATE')
      return [invalidValue(field, OMITTED, `block ${index} has type ${label}, not CERTIFICATE`)];
    try {
      new X509Certificate(der);
      return [];
    } catch {
      return [invalidValue(field, OMITTED, `block ${index} does not parse as X.509`)];
    }
  });
}

/** What was asked stays, and so does what was decided. */
function kept(now: PodCertificateRequest, old: PodCertificateRequest): Causes {
  const isDecided = decisionOf(old) !== undefined;
  const isKept = isSame(now.status, old.status);
  return [
    ...immutable('spec', now.spec, old.spec),
    ...(isDecided && !isKept
      ? [invalidValue('status', OMITTED, 'a decided request may not be changed')]
      : []),
  ];
}

export const podcertificaterequests: Resource<PodCertificateRequest> = {
  gvk: ['certificates.k8s.io', 'v1beta1', 'PodCertificateRequest'],
  names: { plural: 'podcertificaterequests', singular: 'podcertificaterequest' },
  namespaced: true,
  type: 'io.k8s.api.certificates.v1beta1.PodCertificateRequest',
  subresources: ['status'],
  fields: {
    'spec.signerName': ({ spec }) => spec.signerName ?? '',
    'spec.podName': ({ spec }) => spec.podName ?? '',
    'spec.nodeName': ({ spec }) => spec.nodeName ?? '',
  },
  defaults: (request) => ({
    ...fill(request, { status: {} }),
    spec: fill(request.spec, { maxExpirationSeconds: DEFAULT_CERTIFICATE_SECONDS }),
  }),
  prepareForCreate: (request) => ({ ...request, status: {} }),
  validate: (request) => [...specCauses(request), ...statusCauses(request)],
  validateUpdate: kept,
  columns: [
    NAME,
    text('PodName', ({ spec }) => spec.podName),
    text('ServiceAccountName', ({ spec }) => spec.serviceAccountName),
    text('NodeName', ({ spec }) => spec.nodeName),
    text('SignerName', ({ spec }) => spec.signerName),
    text('State', (request) => decisionOf(request) ?? 'Pending'),
    AGE,
  ],
};

/** CertificateSigningRequests. */

import { humanDuration } from '../age.ts';
import { fill } from '../defaulting.ts';
import { type Causes, immutable, invalidValue, isSame, oneOf, required } from '../field-errors.ts';
import type { CertificateSigningRequest } from '../generated/types.ts';
import type { Resource } from '../resource.ts';
import { AGE, NAME, NONE, text } from './columns.ts';
import { signerCauses } from './signer-names.ts';

const MIN_SECONDS = 600;
const USAGES = [
  'any',
  'cert sign',
  'client auth',
  'code signing',
  'content commitment',
  'crl sign',
  'data encipherment',
  'decipher only',
  'digital signature',
  'email protection',
  'encipher only',
  'ipsec end system',
  'ipsec tunnel',
  'ipsec user',
  'key agreement',
  'key encipherment',
  'microsoft sgc',
  'netscape sgc',
  'ocsp signing',
  's/mime',
  'server auth',
  'signing',
  'timestamping',
];

/** "Approved,Issued", or "Pending" before any decision. */
function condition({ status }: CertificateSigningRequest): string {
  const types = (status?.conditions ?? []).map(({ type }) => type);
  const words = ['Approved', 'Denied', 'Failed'].filter((type) => types.includes(type));
  const decided = words.length > 0 ? words : ['Pending'];
  return [...decided, ...(status?.certificate ? ['Issued'] : [])].join(',');
}

function pemCauses(request: string | undefined): Causes {
  if (!request) return [required('spec.request')];
  const pem = Buffer.from(request, 'base64').toString();
  return /-----BEGIN CERTIFICATE REQUEST-----[\s\S]+-----END CERTIFICATE REQUEST-----/.test(pem)
    ? []
    : [invalidValue('spec.request', request, 'PEM block type must be CERTIFICATE REQUEST')];
}

function requestCauses({ spec, status }: CertificateSigningRequest): Causes {
  const { usages, expirationSeconds: seconds } = spec;
  const types = new Set((status?.conditions ?? []).map(({ type }) => type));
  const isBoth = types.has('Approved') && types.has('Denied');
  return [
    ...pemCauses(spec.request),
    ...(usages?.length ? [] : [required('spec.usages')]),
    ...(usages ?? []).flatMap((usage, index) => oneOf(`spec.usages[${index}]`, usage, USAGES)),
    ...signerCauses('spec.signerName', spec.signerName),
    ...(seconds !== undefined && seconds < MIN_SECONDS
      ? [
          invalidValue(
            'spec.expirationSeconds',
            seconds,
            'may not specify a duration less than 600 seconds (10 minutes)',
          ),
        ]
      : []),
    ...(isBoth
      ? [
          invalidValue(
            'status.conditions',
            'Denied',
            'Approved and Denied conditions are mutually exclusive',
          ),
        ]
      : []),
  ];
}

/** A decision stays, and so does what was asked. */
function requestKept(now: CertificateSigningRequest, old: CertificateSigningRequest): Causes {
  const kept = (old.status?.conditions ?? []).filter(({ type }) =>
    ['Approved', 'Denied', 'Failed'].includes(type),
  );
  const types = new Set((now.status?.conditions ?? []).map(({ type }) => type));
  const lost = kept.filter(({ type }) => !types.has(type));
  const certificate = old.status?.certificate;
  const isReissued = certificate && !isSame(now.status?.certificate, certificate);
  return [
    ...immutable('spec', now.spec, old.spec),
    ...lost.map(({ type }) =>
      invalidValue(
        'status.conditions',
        type,
        `updates may not remove a condition of type "${type}"`,
      ),
    ),
    ...(isReissued
      ? [
          invalidValue(
            'status.certificate',
            '<certificate data>',
            'updates may not set certificate content that is already set',
          ),
        ]
      : []),
  ];
}

export const certificatesigningrequests: Resource<CertificateSigningRequest> = {
  gvk: ['certificates.k8s.io', 'v1', 'CertificateSigningRequest'],
  names: {
    plural: 'certificatesigningrequests',
    singular: 'certificatesigningrequest',
    short: ['csr'],
  },
  namespaced: false,
  type: 'io.k8s.api.certificates.v1.CertificateSigningRequest',
  subresources: ['approval', 'status'],
  fields: { 'spec.signerName': ({ spec }) => spec.signerName ?? '' },
  // Any name: clients use what their certificates are for.
  validateName: () => [],
  defaults: (request) => fill(request, { status: {} }),
  prepareForCreate: (request) => ({ ...request, status: {} }),
  validate: requestCauses,
  validateUpdate: requestKept,
  columns: [
    NAME,
    AGE,
    text('SignerName', ({ spec }) => spec.signerName),
    text('Requestor', ({ spec }) => spec.username ?? ''),
    text('RequestedDuration', ({ spec: { expirationSeconds: seconds } }) =>
      seconds === undefined ? NONE : humanDuration(seconds * 1000),
    ),
    text('Condition', condition),
  ],
};

/** ClusterTrustBundles: certificates of authorities that pods may have projected. */

import { X509Certificate } from 'node:crypto';
import { type Causes, immutable, invalidValue, required } from '../field-errors.ts';
import type { ClusterTrustBundle } from '../generated/types.ts';
import { type PemBlock, pemBlocks } from '../pem.ts';
import type { Resource } from '../resource.ts';
import { NAME, text } from './columns.ts';
import { signerCauses } from './signer-names.ts';

const OMITTED = '<value omitted>';

function nameCauses({ metadata, spec }: ClusterTrustBundle): Causes {
  const { name } = metadata;
  const { signerName } = spec;
  const prefix = `${(signerName ?? '').replaceAll('/', ':')}:`;
  const wrong = (why: string) => [invalidValue('metadata.name', name, why)];
  if (!signerName) {
    return name.includes(':')
      ? wrong('ClusterTrustBundle without signer name must not have ":" in its name')
      : [];
  }
  return name.startsWith(prefix)
    ? []
    : wrong(`ClusterTrustBundle for signerName ${signerName} must be named with prefix ${prefix}`);
}

function bundleCauses(bundle: string): Causes {
  const field = 'spec.trustBundle';
  if (!bundle) return [required(field)];
  const seen = new Map<string, number>();
  const blocks = pemBlocks(bundle);
  const causes = blocks.flatMap((block, index) => {
    const key = block.der.toString('base64');
    const first = seen.get(key);
    if (first === undefined) seen.set(key, index);
    const why =
      blockProblem(block, index) ??
      (first === undefined ? undefined : `duplicate trust anchor (indices [${first} ${index}])`);
    return why ? [invalidValue(field, OMITTED, why)] : [];
  });
  if (blocks.length > 0) return causes;
  return [invalidValue(field, OMITTED, 'at least one trust anchor must be provided')];
}

function blockProblem({ label, hasHeaders, der }: PemBlock, index: number): string | undefined {
  if (label !== 'CERTIFICATE') return `entry ${index} has bad block type: ${label}`;
  if (hasHeaders) return `entry ${index} has PEM block headers`;
  try {
    return new X509Certificate(der).ca ? undefined : `entry ${index} does not have the CA bit set`;
  } catch {
    return `entry ${index} does not parse as X.509`;
  }
}

export const clustertrustbundles: Resource<ClusterTrustBundle> = {
  gvk: ['certificates.k8s.io', 'v1beta1', 'ClusterTrustBundle'],
  names: { plural: 'clustertrustbundles', singular: 'clustertrustbundle' },
  namespaced: false,
  type: 'io.k8s.api.certificates.v1beta1.ClusterTrustBundle',
  fields: { 'spec.signerName': ({ spec }) => spec.signerName ?? '' },
  // With the name of its signer in front, whose slash is a colon.
  validateName: () => [],
  validate: (bundle) => [
    ...nameCauses(bundle),
    ...(bundle.spec.signerName ? signerCauses('spec.signerName', bundle.spec.signerName) : []),
    ...bundleCauses(bundle.spec.trustBundle),
  ],
  validateUpdate: ({ spec }, old) =>
    immutable('spec.signerName', spec.signerName, old.spec.signerName),
  columns: [NAME, text('SignerName', ({ spec }) => spec.signerName || '<none>')],
};

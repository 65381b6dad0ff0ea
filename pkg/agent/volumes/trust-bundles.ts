/** The trust anchors that a projected volume asks for, of one ClusterTrustBundle or of all of a signer. Pure. */

import type {
  ClusterTrustBundle,
  ClusterTrustBundleProjection,
} from '../../api/generated/types.ts';
import { pemBlocks, toPem } from '../../api/pem.ts';
import { matchesLabels, selectorOf } from '../../api/selectors.ts';

/** PEM, each anchor once and always in the same order. Throws when there is none and the source is not optional. */
export function trustAnchors(
  source: ClusterTrustBundleProjection,
  bundles: readonly ClusterTrustBundle[],
): string {
  const found = bundles.filter((bundle) => isMeant(source, bundle));
  if (found.length === 0 && !source.optional) {
    throw new Error(
      source.name === undefined
        ? 'combination of signerName and labelSelector matched zero ClusterTrustBundles'
        : `while getting ClusterTrustBundle: clustertrustbundle.certificates.k8s.io "${source.name}" not found`,
    );
  }
  const anchors = found.flatMap(({ spec }) =>
    pemBlocks(spec.trustBundle).map(({ der }) => toPem('CERTIFICATE', der)),
  );
  return [...new Set(anchors)].toSorted().join('');
}

/** By its name, or by its signer and labels; without a selector none is meant. */
function isMeant(
  { name, signerName, labelSelector }: ClusterTrustBundleProjection,
  { metadata, spec }: ClusterTrustBundle,
): boolean {
  if (name !== undefined) return metadata.name === name;
  return (
    labelSelector !== undefined &&
    spec.signerName === signerName &&
    matchesLabels(selectorOf(labelSelector), metadata.labels)
  );
}

/**
 * Who may say what a signer's certificates are: attest its trust bundles, sign certificates of pods. And a request for
 * a pod's certificate proves that its sender has the key. Source: Kubernetes' ClusterTrustBundleAttest and strategies.
 */

import { forbidden, invalid } from '../../api/errors.ts';
import { invalidValue } from '../../api/field-errors.ts';
import type { ClusterTrustBundle, PodCertificateRequest } from '../../api/generated/types.ts';
import type { ApiObject } from '../../api/meta.ts';
import { toPem } from '../../api/pem.ts';
import { parseCsr } from '../../pki/csr.ts';
import type { Admission, Authorizer } from '../contract.ts';
import { maySign } from './certificates.ts';
import { objectAs, shownName } from './subject.ts';

const GROUP = 'certificates.k8s.io';
const BUNDLES = { plural: 'clustertrustbundles', group: GROUP };
const REQUESTS = { plural: 'podcertificaterequests', group: GROUP };

/** Makes the plug-in. */
export function podCertificates(authorizer: Authorizer): Admission {
  return {
    name: 'PodCertificates',
    async admit(request) {
      const { group, resource, operation, subresource, object, old, user } = request;
      if (group !== GROUP || !object) return object;
      const refuse = (kind: typeof BUNDLES, verb: string, signerName: string) => {
        if (maySign(authorizer, user, { verb, signerName })) return;
        const why = `user not permitted to ${verb} for signerName "${signerName}"`;
        throw forbidden(kind, shownName(request), why);
      };
      if (resource === BUNDLES.plural) {
        const signers = new Set([signerOf(object), signerOf(old)].flatMap((name) => name || []));
        for (const signer of signers) refuse(BUNDLES, 'attest', signer);
      }
      const asked = objectAs<PodCertificateRequest>(object, 'PodCertificateRequest');
      if (resource !== REQUESTS.plural || !asked) return object;
      if (operation === 'CREATE') await verify(asked);
      if (subresource === 'status') refuse(REQUESTS, 'sign', asked.spec.signerName);
      return object;
    },
  };
}

function signerOf(bundle: ApiObject | undefined): string | undefined {
  return objectAs<ClusterTrustBundle>(bundle, 'ClusterTrustBundle')?.spec.signerName;
}

async function verify({ metadata, spec }: PodCertificateRequest): Promise<void> {
  if (!spec.stubPKCS10Request) return; // Validation says so.
  try {
    await parseCsr(toPem('CERTIFICATE REQUEST', Buffer.from(spec.stubPKCS10Request, 'base64')));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const cause = invalidValue('spec.stubPKCS10Request', '<value omitted>', why);
    throw invalid({ group: GROUP, kind: 'PodCertificateRequest' }, metadata.name, [cause]);
  }
}

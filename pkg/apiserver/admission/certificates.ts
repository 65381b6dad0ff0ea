/** Who may ask for, approve and sign certificates through the API. Source: Kubernetes' Certificate* admissions. */

import { forbidden } from '../../api/errors.ts';
import type { CertificateSigningRequest } from '../../api/generated/types.ts';
import { parseCsr } from '../../pki/csr.ts';
import type { Admission, AdmissionRequest, Authorizer } from '../contract.ts';
import { isOn, objectAs } from './subject.ts';

const RESOURCE = { plural: 'certificatesigningrequests', group: 'certificates.k8s.io' };
const CLIENT_SIGNER = 'kubernetes.io/kube-apiserver-client';
const MASTERS = 'system:masters';

/** Makes the plug-in; approving and signing take the verb `approve` or `sign` on the signer. */
export function certificates(authorizer: Authorizer): Admission {
  return {
    name: 'CertificateApproval',
    admit(request) {
      const { resource, group, operation, subresource, object } = request;
      if (resource !== RESOURCE.plural || group !== RESOURCE.group) return object;
      const csr = objectAs<CertificateSigningRequest>(object, 'CertificateSigningRequest');
      if (!csr) return object;
      if (isOn(request, 'CREATE', `${RESOURCE.plural}.${RESOURCE.group}`))
        return requested(request, csr);
      if (operation === 'UPDATE' && subresource === 'approval')
        check(authorizer, { request, csr, verb: 'approve' });
      const isSigned =
        csr.status?.certificate !==
        objectAs<CertificateSigningRequest>(request.old, csr.kind)?.status?.certificate;
      if (operation === 'UPDATE' && subresource === 'status' && isSigned)
        check(authorizer, { request, csr, verb: 'sign' });
      return object;
    },
  };
}

/** Notes who asks, whatever the body says, and refuses certificates for system:masters. */
async function requested(
  { user, name }: AdmissionRequest,
  csr: CertificateSigningRequest,
): Promise<CertificateSigningRequest> {
  if (csr.spec.signerName === CLIENT_SIGNER && (await asksForMasters(csr.spec.request))) {
    throw forbidden(
      RESOURCE,
      name || csr.metadata.name,
      `use of ${CLIENT_SIGNER} signer with ${MASTERS} group is not allowed`,
    );
  }
  const { uid: _uid, extra: _extra, ...spec } = csr.spec;
  return {
    ...csr,
    spec: {
      ...spec,
      username: user.name,
      groups: user.groups,
      ...(user.uid ? { uid: user.uid } : {}),
      ...(user.extra ? { extra: user.extra } : {}),
    },
  };
}

async function asksForMasters(request: string): Promise<boolean> {
  try {
    const pem = Buffer.from(request, 'base64').toString();
    const { subject } = await parseCsr(pem);
    return subject.organizations.includes(MASTERS);
  } catch {
    return false; // A request that cannot be read is refused by validation, or by its signer.
  }
}

/** Whether the user has this verb on the signer, by its name or its domain. */
export function maySign(
  authorizer: Authorizer,
  user: AdmissionRequest['user'],
  { verb, signerName }: { readonly verb: string; readonly signerName: string },
): boolean {
  const domain = `${signerName.split('/')[0]}/*`;
  const fixed = {
    isResource: true,
    group: RESOURCE.group,
    version: '',
    resource: 'signers',
    subresource: '',
    namespace: '',
    path: '',
  };
  return [signerName, domain].some(
    (signer) => authorizer.authorize({ user, verb, name: signer, ...fixed }).isAllowed,
  );
}

interface Check {
  readonly request: AdmissionRequest;
  readonly csr: CertificateSigningRequest;
  readonly verb: 'approve' | 'sign';
}

function check(authorizer: Authorizer, { request, csr, verb }: Check): void {
  const { user, name } = request;
  const { signerName } = csr.spec;
  if (!maySign(authorizer, user, { verb, signerName }))
    throw forbidden(
      RESOURCE,
      name,
      `user not permitted to ${verb} requests with signerName "${signerName}"`,
    );
}

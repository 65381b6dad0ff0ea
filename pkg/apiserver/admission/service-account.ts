/**
 * Gives each pod a service account, and its containers the account's token, the cluster's CA and the namespace in
 * the usual place. Source: Kubernetes' ServiceAccount admission.
 */

import { randomInt } from 'node:crypto';
import { forbidden } from '../../api/errors.ts';
import type { Container, Pod, ServiceAccount, Volume } from '../../api/generated/types.ts';
import { sleep } from '../../wait/clock.ts';
import type { Admission, AdmissionRequest } from '../contract.ts';
import { createdPod, shownName } from './subject.ts';

const MOUNT_PATH = '/var/run/secrets/kubernetes.io/serviceaccount';
const VOLUME_PREFIX = 'kube-api-access-';
const MIRROR = 'kubernetes.io/config.mirror';
/** An hour and a bit, by which Kubernetes' own tokens are recognised. */
const TOKEN_SECONDS = 3607;
const FILE_MODE = 0o644;
/** The default account of a new namespace is made by a controller: wait for it, up to 1 s. */
const WAIT_TURNS = 20;
const WAIT_MS = 50;

export const serviceAccount: Admission = {
  name: 'ServiceAccount',
  async admit(request) {
    const pod = createdPod(request);
    if (!pod) return request.object;
    if (pod.metadata.annotations?.[MIRROR] !== undefined) return pod;
    const name = pod.spec.serviceAccountName || 'default';
    const account = await findAccount(request, name);
    const named: Pod = {
      ...pod,
      spec: {
        ...pod.spec,
        serviceAccountName: name,
        serviceAccount: name,
        ...pullSecrets(pod, account),
      },
    };
    const wantsToken =
      pod.spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true;
    return wantsToken ? withToken(named) : named;
  },
};

async function findAccount(request: AdmissionRequest, name: string): Promise<ServiceAccount> {
  const { registry, namespace } = request;
  for (let turn = 0; turn < WAIT_TURNS; turn += 1) {
    const found = registry.get<ServiceAccount>('serviceaccounts', { namespace, name });
    if (found) return found;
    if (name !== 'default') break;
    await sleep(WAIT_MS);
  }
  const why = `error looking up service account ${namespace}/${name}: serviceaccount "${name}" not found`;
  throw forbidden({ plural: 'pods', group: '' }, shownName(request), why);
}

function pullSecrets({ spec }: Pod, account: ServiceAccount): Partial<Pod['spec']> {
  if (spec.imagePullSecrets?.length || !account.imagePullSecrets?.length) return {};
  return { imagePullSecrets: account.imagePullSecrets };
}

function withToken(pod: Pod): Pod {
  const { containers, initContainers, volumes = [] } = pod.spec;
  const all = [...containers, ...(initContainers ?? [])];
  if (!all.some(lacksMount)) return pod;
  const name = `${VOLUME_PREFIX}${randomSuffix()}`;
  const mounted = (container: Container): Container =>
    lacksMount(container)
      ? {
          ...container,
          volumeMounts: [
            ...(container.volumeMounts ?? []),
            { name, readOnly: true, mountPath: MOUNT_PATH },
          ],
        }
      : container;
  return {
    ...pod,
    spec: {
      ...pod.spec,
      volumes: [...volumes, tokenVolume(name)],
      containers: containers.map(mounted),
      ...(initContainers ? { initContainers: initContainers.map(mounted) } : {}),
    },
  };
}

function lacksMount({ volumeMounts }: Container): boolean {
  return !(volumeMounts ?? []).some(({ mountPath }) => mountPath === MOUNT_PATH);
}

function tokenVolume(name: string): Volume {
  return {
    name,
    projected: {
      defaultMode: FILE_MODE,
      sources: [
        { serviceAccountToken: { expirationSeconds: TOKEN_SECONDS, path: 'token' } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        {
          downwardAPI: {
            items: [
              {
                path: 'namespace',
                fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' },
              },
            ],
          },
        },
      ],
    },
  };
}

/** Letters and digits that make no words. */
const ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';

function randomSuffix(): string {
  return Array.from({ length: 5 }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
}

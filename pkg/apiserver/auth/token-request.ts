/** The TokenRequest subresource: `serviceaccounts/token`. Source: Kubernetes' registry/core/serviceaccount. */

import { conflict, forbidden, invalid, notFound } from '../../api/errors.ts';
import type {
  BoundObjectReference,
  Pod,
  ServiceAccount,
  TokenRequest,
} from '../../api/generated/types.ts';
import type { ApiObject, Draft } from '../../api/meta.ts';
import type { AdmissionRequest, Answerer, Registry, User } from '../contract.ts';
import { nodeNameOf } from '../nodes.ts';
import type { BoundRef, KubernetesClaims, TokenSigner } from './token-signer.ts';

const DEFAULT_SECONDS = 3_600;
const MIN_SECONDS = 600;
const MAX_SECONDS = 2 ** 32;
/** Longer lifetimes are cut to this: a year, as in Kubernetes. */
const LIMIT_SECONDS = 365 * 24 * 3_600;

export interface TokenRequestOptions {
  readonly registry: Registry;
  readonly signer: TokenSigner;
  /** Given to tokens that ask for none. */
  readonly audiences: readonly string[];
  readonly now: () => number;
}

export function createTokenAnswerer(options: TokenRequestOptions): Answerer {
  return {
    resource: 'serviceaccounts/token',
    answer: async (request) => await createToken(options, request),
  };
}

/** Issues a token for the account that the request names. Throws NotFound, Invalid, Conflict, Forbidden. */
export async function createToken(
  options: TokenRequestOptions,
  request: Pick<AdmissionRequest, 'namespace' | 'name' | 'user' | 'object'>,
): Promise<Draft<TokenRequest>> {
  const { registry, signer, audiences, now } = options;
  const { namespace, name, user } = request;
  const account = registry.get<ServiceAccount>('serviceaccounts', { namespace, name });
  if (!account) throw notFound({ plural: 'serviceaccounts', group: '' }, name);
  const spec = specOf(request.object);
  const seconds = lifetime(name, spec.expirationSeconds);
  const asked = spec.audiences?.length ? spec.audiences : audiences;
  const bound = spec.boundObjectRef
    ? boundClaims(registry, { ref: spec.boundObjectRef, namespace, account })
    : {};
  checkNode(user, { registry, namespace, name, pod: bound.pod });
  const claims: KubernetesClaims = {
    namespace,
    serviceaccount: { name, uid: account.metadata.uid },
    ...bound,
  };
  const token = await signer.sign({ claims, audiences: asked, lifetimeSeconds: seconds });
  const expiry = (Math.floor(now() / 1_000) + seconds) * 1_000;
  return {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    metadata: { name, namespace },
    spec: { ...spec, audiences: asked, expirationSeconds: seconds },
    status: { token, expirationTimestamp: new Date(expiry).toISOString().replace(/\.\d+Z$/, 'Z') },
  };
}

function specOf(object: ApiObject | undefined): TokenRequest['spec'] {
  const isRequest = (value: ApiObject): value is TokenRequest => value.kind === 'TokenRequest';
  return (object && isRequest(object) ? object.spec : undefined) ?? {};
}

function lifetime(name: string, seconds = DEFAULT_SECONDS): number {
  const refuse = (message: string) =>
    invalid({ kind: 'TokenRequest', group: 'authentication.k8s.io' }, name, [
      {
        reason: 'FieldValueInvalid',
        field: 'spec.expirationSeconds',
        message: `Invalid value: ${seconds}: ${message}`,
      },
    ]);
  if (seconds < MIN_SECONDS) throw refuse('may not specify a duration less than 10 minutes');
  if (seconds > MAX_SECONDS) throw refuse('may not specify a duration larger than 2^32 seconds');
  return Math.min(seconds, LIMIT_SECONDS);
}

interface Binding {
  readonly ref: BoundObjectReference;
  readonly namespace: string;
  readonly account: ServiceAccount;
}

type BoundClaims = Pick<KubernetesClaims, 'pod' | 'secret' | 'node'>;

function boundClaims(registry: Registry, { ref, namespace, account }: Binding): BoundClaims {
  const { kind = '', name = '' } = ref;
  if (kind === 'Pod') return podClaims(registry, { ref, namespace, account });
  if (kind === 'Secret') {
    const secret = boundTo(registry.get<ApiObject>('secrets', { namespace, name }), ref, 'secrets');
    return { secret };
  }
  if (kind === 'Node') {
    return { node: boundTo(registry.get<ApiObject>('nodes', { name }), ref, 'nodes') };
  }
  throw invalid({ kind: 'TokenRequest', group: 'authentication.k8s.io' }, account.metadata.name, [
    {
      reason: 'FieldValueNotSupported',
      field: 'spec.boundObjectRef.kind',
      message: `Unsupported value: "${kind}": supported values: "Pod", "Secret", "Node"`,
    },
  ]);
}

function podClaims(registry: Registry, { ref, namespace, account }: Binding): BoundClaims {
  const found = registry.get<Pod>('pods', { namespace, name: ref.name ?? '' });
  const pod = boundTo(found, ref, 'pods');
  const used = found?.spec.serviceAccountName ?? 'default';
  if (used !== account.metadata.name) {
    const why = `cannot bind token for serviceaccount "${account.metadata.name}" to pod running with different serviceaccount name`;
    throw forbidden({ plural: 'serviceaccounts', group: '' }, account.metadata.name, why);
  }
  const nodeName = found?.spec.nodeName;
  const node = nodeName ? registry.get<ApiObject>('nodes', { name: nodeName }) : undefined;
  return node ? { pod, node: { name: node.metadata.name, uid: node.metadata.uid } } : { pod };
}

function boundTo(
  found: ApiObject | undefined,
  ref: BoundObjectReference,
  plural: string,
): BoundRef {
  const name = ref.name ?? '';
  if (!found) throw notFound({ plural, group: '' }, name);
  const { uid } = found.metadata;
  if (ref.uid && ref.uid !== uid) {
    throw conflict(
      { plural, group: '' },
      name,
      `the UID in the bound object reference (${ref.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  }
  return { name, uid };
}

interface NodeCheck {
  readonly registry: Registry;
  readonly namespace: string;
  readonly name: string;
  readonly pod: BoundRef | undefined;
}

/** A node gets tokens for its own pods only, bound to them. */
function checkNode(user: User, { registry, namespace, name, pod }: NodeCheck): void {
  const nodeName = nodeNameOf(user);
  if (nodeName === undefined) return;
  const refuse = (why: string) => forbidden({ plural: 'serviceaccounts', group: '' }, name, why);
  if (!pod) throw refuse('node requested token not bound to a pod');
  const found = registry.get<Pod>('pods', { namespace, name: pod.name });
  if (found?.spec.nodeName !== nodeName)
    throw refuse('node requested token bound to a pod scheduled on a different node');
}

/**
 * What a node may do: read the objects that its own pods refer to, and report on itself and them. Which objects
 * these are is read from the pods at each question; NodeRestriction (admission) limits what it may write into them.
 * Source: Kubernetes' node authorization, and what mini's agent does on a node (proxy, DNS).
 */

import { parseFieldSelector } from '../../api/field-selectors.ts';
import type {
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  PodCertificateRequest,
  PolicyRule,
} from '../../api/generated/types.ts';
import { VOLUME_NODE } from '../../api/volume-binding.ts';
import type { Attributes, Authorizer, Decision, Registry } from '../contract.ts';
import { nodeNameOf } from '../nodes.ts';
import { podReferences } from './pod-references.ts';
import { ruleAllows } from './rules.ts';

const READ = ['get', 'list', 'watch'];
const CORE = [''];

/** What every node may do whatever runs on it. */
export const NODE_RULES: readonly PolicyRule[] = [
  {
    apiGroups: CORE,
    resources: ['nodes'],
    verbs: ['create', 'get', 'list', 'watch', 'update', 'patch'],
  },
  { apiGroups: CORE, resources: ['nodes/status'], verbs: ['update', 'patch'] },
  { apiGroups: CORE, resources: ['pods'], verbs: ['create', 'delete'] },
  { apiGroups: CORE, resources: ['pods/status'], verbs: ['update', 'patch'] },
  { apiGroups: CORE, resources: ['pods/eviction'], verbs: ['create'] },
  { apiGroups: CORE, resources: ['services', 'endpoints', 'namespaces'], verbs: READ },
  { apiGroups: CORE, resources: ['events'], verbs: ['create', 'update', 'patch'] },
  { apiGroups: ['events.k8s.io'], resources: ['events'], verbs: ['create', 'update', 'patch'] },
  { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: READ },
  {
    apiGroups: ['networking.k8s.io'],
    resources: ['networkpolicies', 'servicecidrs', 'ipaddresses'],
    verbs: READ,
  },
  { apiGroups: ['node.k8s.io'], resources: ['runtimeclasses'], verbs: READ },
  { apiGroups: ['storage.k8s.io'], resources: ['csidrivers', 'storageclasses'], verbs: READ },
  { apiGroups: ['resource.k8s.io'], resources: ['resourceclaims'], verbs: ['get'] },
  { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
  {
    apiGroups: ['authorization.k8s.io'],
    resources: ['subjectaccessreviews', 'localsubjectaccessreviews'],
    verbs: ['create'],
  },
  {
    apiGroups: ['certificates.k8s.io'],
    resources: ['certificatesigningrequests'],
    verbs: ['create', ...READ],
  },
  { apiGroups: ['certificates.k8s.io'], resources: ['clustertrustbundles'], verbs: READ },
];

const NO: Decision = { isAllowed: false, reason: '' };
const YES: Decision = { isAllowed: true, reason: 'node authorization' };

/** Makes the authorizer; it has no opinion on users that are no nodes. */
export function createNodeAuthorizer(registry: Registry): Authorizer {
  return {
    authorize(attributes) {
      const nodeName = nodeNameOf(attributes.user);
      if (nodeName === undefined) return NO;
      if (NODE_RULES.some((rule) => ruleAllows(rule, attributes))) return YES;
      const decide = attributes.isResource
        ? GUARDED[`${attributes.group}/${attributes.resource}`]
        : undefined;
      return decide ? decide({ attributes, nodeName, registry }) : NO;
    },
  };
}

interface Question {
  readonly attributes: Attributes;
  readonly nodeName: string;
  readonly registry: Registry;
}

/** Resources of which a node sees only its own, by group and plural. */
const GUARDED: Readonly<Record<string, (question: Question) => Decision>> = {
  '/pods': ownPods,
  '/secrets': (question) => referenced(question, 'secrets'),
  '/configmaps': (question) => referenced(question, 'configmaps'),
  '/persistentvolumeclaims': (question) => referenced(question, 'persistentvolumeclaims'),
  '/persistentvolumes': volume,
  '/serviceaccounts': account,
  'certificates.k8s.io/podcertificaterequests': ownCertificateRequests,
  'coordination.k8s.io/leases': ownLease,
  'storage.k8s.io/csinodes': ownCsiNode,
  'storage.k8s.io/volumeattachments': attachment,
};

function referenced(
  question: Question,
  kind: 'secrets' | 'configmaps' | 'persistentvolumeclaims',
): Decision {
  const { attributes, nodeName, registry } = question;
  const { name, namespace, verb, subresource } = attributes;
  if (!READ.includes(verb) || subresource) return unrelated(question);
  if (!name)
    return { isAllowed: false, reason: `can only read one of the ${kind} at a time, by name` };
  const isUsed = podsOn(registry, nodeName, namespace).some((pod) =>
    podReferences(pod)[kind].has(name),
  );
  return isUsed ? YES : unrelated(question);
}

const VOLUME_VERBS = ['get', 'update', 'patch', 'delete'];

/** Those of the node's pods, and those that the node has made. NodeRestriction limits what it may write. */
function volume(question: Question): Decision {
  const { verb, name, subresource, labelSelector } = question.attributes;
  if ((verb === 'list' || verb === 'watch') && !name) {
    return labelSelector === `${VOLUME_NODE}=${question.nodeName}` ? YES : unrelated(question);
  }
  if (isBoundHere(question)) return YES;
  const found = question.registry.get<PersistentVolume>('persistentvolumes', { name });
  const isOwn = found?.metadata.labels?.[VOLUME_NODE] === question.nodeName;
  return isOwn && !subresource && VOLUME_VERBS.includes(verb) ? YES : unrelated(question);
}

function ownPods(question: Question): Decision {
  const { attributes, nodeName, registry } = question;
  const { verb, name, namespace, subresource, fieldSelector = '' } = attributes;
  if (!READ.includes(verb) || subresource) return unrelated(question);
  if (name) {
    const pod = registry.get<Pod>('pods', { namespace, name });
    // That there is none may be known: a pod that was to run here may be gone.
    return !pod || pod.spec.nodeName === nodeName ? YES : unrelated(question);
  }
  if (selectsNode(fieldSelector, nodeName)) return YES;
  const reason = `can only list pods with the field selector spec.nodeName=${nodeName}`;
  return { isAllowed: false, reason };
}

/** NodeRestriction checks for which pod a new one is. */
function ownCertificateRequests(question: Question): Decision {
  const { verb, subresource, name, namespace, fieldSelector = '' } = question.attributes;
  if (subresource) return unrelated(question);
  if (verb === 'create') return YES;
  if (!READ.includes(verb)) return unrelated(question);
  if (!name) return selectsNode(fieldSelector, question.nodeName) ? YES : unrelated(question);
  const found = question.registry.get<PodCertificateRequest>('podcertificaterequests', {
    namespace,
    name,
  });
  return found?.spec.nodeName === question.nodeName ? YES : unrelated(question);
}

function selectsNode(text: string, nodeName: string): boolean {
  try {
    return parseFieldSelector(text).some(
      ({ field, value, isEqual }) => field === 'spec.nodeName' && isEqual && value === nodeName,
    );
  } catch {
    return false;
  }
}

function isBoundHere({ attributes, nodeName, registry }: Question): boolean {
  if (!READ.includes(attributes.verb) || !attributes.name || attributes.subresource) return false;
  const volume = registry.get<PersistentVolume>('persistentvolumes', { name: attributes.name });
  const claim = volume?.spec?.claimRef;
  if (!claim?.name || !claim.namespace) return false;
  const { name, namespace } = claim;
  const bound = registry.get<PersistentVolumeClaim>('persistentvolumeclaims', { namespace, name });
  return (
    bound?.spec?.volumeName === attributes.name &&
    podsOn(registry, nodeName, namespace).some((pod) =>
      podReferences(pod).persistentvolumeclaims.has(name),
    )
  );
}

/** A token for, or a look at, the account of one of the node's pods. */
function account(question: Question): Decision {
  const { attributes, nodeName, registry } = question;
  const { verb, subresource, namespace, name } = attributes;
  const isToken = verb === 'create' && subresource === 'token';
  const isRead = READ.includes(verb) && !subresource;
  if (!name || !(isToken || isRead)) return unrelated(question);
  const isUsed = podsOn(registry, nodeName, namespace).some(
    (pod) => (pod.spec.serviceAccountName ?? 'default') === name,
  );
  return isUsed ? YES : unrelated(question);
}

function ownLease(question: Question): Decision {
  const { verb, namespace, name } = question.attributes;
  if (namespace !== 'kube-node-lease') {
    return {
      isAllowed: false,
      reason: 'can only access leases in the "kube-node-lease" namespace',
    };
  }
  // The name of a lease to be created is in its body; NodeRestriction checks that.
  if (verb === 'create') return YES;
  const isOwn = name === question.nodeName && ['get', 'update', 'patch', 'delete'].includes(verb);
  return isOwn
    ? YES
    : {
        isAllowed: false,
        reason: 'can only access node lease with the same name as the requesting node',
      };
}

function ownCsiNode(question: Question): Decision {
  const { verb, name } = question.attributes;
  const isOwn = name === question.nodeName && ['get', 'update', 'patch', 'delete'].includes(verb);
  return verb === 'create' || isOwn ? YES : unrelated(question);
}

function attachment(question: Question): Decision {
  const { verb, name } = question.attributes;
  if (verb !== 'get' || !name) return unrelated(question);
  const found = question.registry.get('volumeattachments', { name });
  const spec = found && 'spec' in found ? found.spec : undefined;
  const isHere =
    typeof spec === 'object' &&
    spec !== null &&
    'nodeName' in spec &&
    spec.nodeName === question.nodeName;
  return isHere ? YES : unrelated(question);
}

function unrelated({ nodeName, attributes }: Question): Decision {
  const kind = attributes.resource;
  return {
    isAllowed: false,
    reason: `no relationship found between node '${nodeName}' and this object of ${kind}`,
  };
}

function podsOn(registry: Registry, nodeName: string, namespace: string): Pod[] {
  return registry
    .list<Pod>('pods', namespace)
    .items.filter(({ spec }) => spec.nodeName === nodeName);
}

/** Admission webhooks and policies. Source: kubernetes pkg/apis/admissionregistration. */

import { change, each as eachItem, fill } from '../defaulting.ts';
import type {
  MatchResources,
  MutatingAdmissionPolicy,
  MutatingAdmissionPolicyBinding,
  MutatingWebhook,
  MutatingWebhookConfiguration,
  ParamKind,
  ParamRef,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  ValidatingWebhook,
  ValidatingWebhookConfiguration,
} from '../generated/types.ts';
import type { Resource } from '../resource.ts';
import { bindingCauses, policyCauses, webhookCauses } from './admission-validation.ts';
import { AGE, integer, NAME, text, UNSET } from './columns.ts';

const GROUP = 'admissionregistration.k8s.io';
const CATEGORIES = ['api-extensions'];
const WEBHOOK_SECONDS = 10;
const HTTPS_PORT = 443;

function hookDefaults<T extends MutatingWebhook | ValidatingWebhook>(hook: T): T {
  const filled = fill<MutatingWebhook | ValidatingWebhook>(hook, {
    failurePolicy: 'Fail',
    matchPolicy: 'Equivalent',
    namespaceSelector: {},
    objectSelector: {},
    timeoutSeconds: WEBHOOK_SECONDS,
  });
  // The fields named here are the same in both kinds of webhook.
  return change<MutatingWebhook | ValidatingWebhook>(filled, {
    clientConfig: (config) =>
      change(config, { service: (service) => fill(service, { port: HTTPS_PORT }) }),
    rules: eachItem((rule) => fill(rule, { scope: '*' })),
  }) as T;
}

function matchDefaults(match: MatchResources): MatchResources {
  const filled = fill(match, {
    namespaceSelector: {},
    objectSelector: {},
    matchPolicy: 'Equivalent',
  });
  return change(filled, {
    resourceRules: eachItem((rule) => fill(rule, { scope: '*' })),
    excludeResourceRules: eachItem((rule) => fill(rule, { scope: '*' })),
  });
}

function kindOf(param: ParamKind | undefined): string {
  if (!param) return UNSET;
  return `${param.apiVersion ?? ''}/${param.kind ?? ''}`;
}

function refOf(param: ParamRef | undefined): string {
  if (!param) return UNSET;
  const name = param.name ?? '*';
  return param.namespace ? `${param.namespace}/${name}` : name;
}

export const mutatingwebhookconfigurations: Resource<MutatingWebhookConfiguration> = {
  gvk: [GROUP, 'v1', 'MutatingWebhookConfiguration'],
  names: {
    plural: 'mutatingwebhookconfigurations',
    singular: 'mutatingwebhookconfiguration',
    categories: CATEGORIES,
  },
  namespaced: false,
  type: 'io.k8s.api.admissionregistration.v1.MutatingWebhookConfiguration',
  hasGeneration: true,
  defaults: (object) =>
    change(object, {
      webhooks: eachItem((hook) => fill(hookDefaults(hook), { reinvocationPolicy: 'Never' })),
    }),
  validate: ({ webhooks }) => webhookCauses(webhooks),
  columns: [NAME, integer('Webhooks', ({ webhooks }) => webhooks?.length ?? 0), AGE],
};

export const validatingwebhookconfigurations: Resource<ValidatingWebhookConfiguration> = {
  gvk: [GROUP, 'v1', 'ValidatingWebhookConfiguration'],
  names: {
    plural: 'validatingwebhookconfigurations',
    singular: 'validatingwebhookconfiguration',
    categories: CATEGORIES,
  },
  namespaced: false,
  type: 'io.k8s.api.admissionregistration.v1.ValidatingWebhookConfiguration',
  hasGeneration: true,
  defaults: (object) => change(object, { webhooks: eachItem(hookDefaults<ValidatingWebhook>) }),
  validate: ({ webhooks }) => webhookCauses(webhooks),
  columns: [NAME, integer('Webhooks', ({ webhooks }) => webhooks?.length ?? 0), AGE],
};

export const validatingadmissionpolicies: Resource<ValidatingAdmissionPolicy> = {
  gvk: [GROUP, 'v1', 'ValidatingAdmissionPolicy'],
  names: {
    plural: 'validatingadmissionpolicies',
    singular: 'validatingadmissionpolicy',
    categories: CATEGORIES,
  },
  namespaced: false,
  type: 'io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicy',
  subresources: ['status'],
  hasGeneration: true,
  defaults: (object) =>
    change(fill(object, { status: {} }), {
      spec: (spec) =>
        change(fill(spec, { failurePolicy: 'Fail' }), { matchConstraints: matchDefaults }),
    }),
  prepareForCreate: (object) => ({ ...object, status: {} }),
  validate: ({ spec }) =>
    policyCauses(spec, [...(spec.validations ?? []), ...(spec.auditAnnotations ?? [])]),
  columns: [
    NAME,
    integer('Validations', ({ spec }) => spec.validations?.length ?? 0),
    text('ParamKind', ({ spec }) => kindOf(spec.paramKind)),
    AGE,
  ],
};

export const validatingadmissionpolicybindings: Resource<ValidatingAdmissionPolicyBinding> = {
  gvk: [GROUP, 'v1', 'ValidatingAdmissionPolicyBinding'],
  names: {
    plural: 'validatingadmissionpolicybindings',
    singular: 'validatingadmissionpolicybinding',
    categories: CATEGORIES,
  },
  namespaced: false,
  type: 'io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicyBinding',
  hasGeneration: true,
  defaults: (object) =>
    change(object, { spec: (spec) => change(spec, { matchResources: matchDefaults }) }),
  validate: ({ spec }) => bindingCauses(spec, spec.validationActions ?? []),
  columns: [
    NAME,
    text('PolicyName', ({ spec }) => spec.policyName),
    text('ParamRef', ({ spec }) => refOf(spec.paramRef)),
    AGE,
  ],
};

export const mutatingadmissionpolicies: Resource<MutatingAdmissionPolicy> = {
  gvk: [GROUP, 'v1', 'MutatingAdmissionPolicy'],
  names: {
    plural: 'mutatingadmissionpolicies',
    singular: 'mutatingadmissionpolicy',
    categories: CATEGORIES,
  },
  namespaced: false,
  type: 'io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicy',
  hasGeneration: true,
  defaults: (object) =>
    change(object, {
      spec: (spec) =>
        change(fill(spec, { failurePolicy: 'Fail', reinvocationPolicy: 'Never' }), {
          matchConstraints: matchDefaults,
        }),
    }),
  validate: ({ spec }) => policyCauses(spec, spec.mutations ?? []),
  columns: [
    NAME,
    integer('Mutations', ({ spec }) => spec.mutations?.length ?? 0),
    text('ParamKind', ({ spec }) => kindOf(spec.paramKind)),
    AGE,
  ],
};

export const mutatingadmissionpolicybindings: Resource<MutatingAdmissionPolicyBinding> = {
  gvk: [GROUP, 'v1', 'MutatingAdmissionPolicyBinding'],
  names: {
    plural: 'mutatingadmissionpolicybindings',
    singular: 'mutatingadmissionpolicybinding',
    categories: CATEGORIES,
  },
  namespaced: false,
  type: 'io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicyBinding',
  hasGeneration: true,
  defaults: (object) =>
    change(object, { spec: (spec) => change(spec, { matchResources: matchDefaults }) }),
  validate: ({ spec }) => bindingCauses(spec),
  columns: [
    NAME,
    text('PolicyName', ({ spec }) => spec.policyName ?? ''),
    text('ParamRef', ({ spec }) => refOf(spec.paramRef)),
    AGE,
  ],
};

/** What admission webhooks and policies must be. */

import {
  type Causes,
  each,
  invalidEach,
  invalidValue,
  oneOf,
  required,
  requiredOneOf,
  unique,
} from '../field-errors.ts';
import type {
  MatchResources,
  MutatingWebhook,
  RuleWithOperations,
  ValidatingWebhook,
} from '../generated/types.ts';
import { dnsSubdomain } from '../names.ts';
import { validateSelector } from './selector-validation.ts';

type Webhook = MutatingWebhook | ValidatingWebhook;

const OPERATIONS = ['*', 'CONNECT', 'CREATE', 'DELETE', 'UPDATE'];
const SCOPES = ['*', 'Cluster', 'Namespaced'];
const POLICIES = ['Fail', 'Ignore'];
const MATCH_POLICIES = ['Equivalent', 'Exact'];
const VERSIONS = ['v1', 'v1beta1'];
const TIMEOUT_MAX_SECONDS = 30;
/** A domain of two names at least before the webhook's own. */
const MIN_NAME_PARTS = 3;

/** Everything that is wrong with a configuration's webhooks. */
export function webhookCauses(webhooks: readonly Webhook[] | undefined): Causes {
  return [
    ...each<Webhook>('webhooks', webhooks, oneWebhook),
    ...unique<Webhook>(
      webhooks,
      ({ name }) => name,
      (index) => `webhooks[${index}].name`,
    ),
  ];
}

function oneWebhook(hook: Webhook, path: string): Causes {
  const { admissionReviewVersions: versions = [], timeoutSeconds: seconds } = hook;
  const isInTime = seconds === undefined || (seconds >= 1 && seconds <= TIMEOUT_MAX_SECONDS);
  const why = 'the timeout value must be between 1 and 30 seconds';
  return [
    ...nameCauses(hook.name, `${path}.name`),
    ...(versions.length > 0
      ? []
      : [
          required(`${path}.admissionReviewVersions`, `must specify one of ${VERSIONS.join(', ')}`),
        ]),
    ...(versions.length > 0 && !versions.some((version) => VERSIONS.includes(version))
      ? [
          invalidValue(
            `${path}.admissionReviewVersions`,
            versions,
            `must include at least one of ${VERSIONS.join(', ')}`,
          ),
        ]
      : []),
    ...each(`${path}.rules`, hook.rules, ruleCauses),
    ...oneOf(`${path}.failurePolicy`, hook.failurePolicy, POLICIES),
    ...oneOf(`${path}.matchPolicy`, hook.matchPolicy, MATCH_POLICIES),
    ...requiredOneOf(`${path}.sideEffects`, hook.sideEffects, ['None', 'NoneOnDryRun']),
    ...(isInTime ? [] : [invalidValue(`${path}.timeoutSeconds`, seconds, why)]),
    ...validateSelector(`${path}.namespaceSelector`, hook.namespaceSelector),
    ...validateSelector(`${path}.objectSelector`, hook.objectSelector),
    ...clientCauses(hook, `${path}.clientConfig`),
  ];
}

function nameCauses(name: string, path: string): Causes {
  if (!name) return [required(path)];
  const isShort = name.split('.').length < MIN_NAME_PARTS;
  const why = 'should be a domain with at least three segments separated by dots';
  return isShort ? [invalidValue(path, name, why)] : invalidEach(path, name, dnsSubdomain(name));
}

function clientCauses({ clientConfig }: Webhook, path: string): Causes {
  const { url, service } = clientConfig ?? {};
  if (Boolean(url) === Boolean(service)) {
    return [required(path, 'exactly one of url or service is required')];
  }
  if (url) {
    const isHttps = URL.canParse(url) && new URL(url).protocol === 'https:';
    return isHttps
      ? []
      : [
          invalidValue(
            `${path}.url`,
            url,
            "'https' is the only allowed URL scheme; desired format: https://host[/path]",
          ),
        ];
  }
  return [
    ...(service?.name ? [] : [required(`${path}.service.name`, 'service name is required')]),
    ...(service?.namespace
      ? []
      : [required(`${path}.service.namespace`, 'service namespace is required')]),
  ];
}

function ruleCauses(rule: RuleWithOperations, path: string): Causes {
  const { operations = [], scope } = rule;
  const lists = (['operations', 'apiGroups', 'apiVersions', 'resources'] as const).flatMap(
    (field) => (rule[field]?.length ? [] : [required(`${path}.${field}`)]),
  );
  const isMixed = operations.length > 1 && operations.includes('*');
  const why = "if '*' is present, must not specify other operations";
  return [
    ...lists,
    ...operations.flatMap((operation, index) =>
      oneOf(`${path}.operations[${index}]`, operation, OPERATIONS),
    ),
    ...(isMixed ? [invalidValue(`${path}.operations`, operations, why)] : []),
    ...oneOf(`${path}.scope`, scope, SCOPES),
  ];
}

interface Policy {
  readonly failurePolicy?: string;
  readonly matchConstraints?: MatchResources;
  readonly paramKind?: { readonly apiVersion?: string; readonly kind?: string };
}

/** Everything that is wrong with a policy's frame; `does` are its validations or mutations. */
export function policyCauses(spec: Policy, does: readonly unknown[]): Causes {
  const { paramKind, matchConstraints } = spec;
  return [
    ...oneOf('spec.failurePolicy', spec.failurePolicy, POLICIES),
    ...(paramKind && !paramKind.apiVersion ? [required('spec.paramKind.apiVersion')] : []),
    ...(paramKind && !paramKind.kind ? [required('spec.paramKind.kind')] : []),
    ...(matchConstraints ? [] : [required('spec.matchConstraints')]),
    ...(matchConstraints ? matchCauses(matchConstraints, 'spec.matchConstraints') : []),
    ...(matchConstraints && !matchConstraints.resourceRules?.length
      ? [required('spec.matchConstraints.resourceRules')]
      : []),
    ...(does.length > 0
      ? []
      : [required('spec.validations', 'validations or mutations must contain at least one item')]),
  ];
}

function matchCauses(match: MatchResources, path: string): Causes {
  return [
    ...validateSelector(`${path}.namespaceSelector`, match.namespaceSelector),
    ...validateSelector(`${path}.objectSelector`, match.objectSelector),
    ...oneOf(`${path}.matchPolicy`, match.matchPolicy, MATCH_POLICIES),
    ...each(`${path}.resourceRules`, match.resourceRules, ruleCauses),
    ...each(`${path}.excludeResourceRules`, match.excludeResourceRules, ruleCauses),
  ];
}

interface PolicyBinding {
  readonly policyName?: string;
  readonly matchResources?: MatchResources;
}

/** Everything that is wrong with a binding; validating ones name what to do. */
export function bindingCauses(spec: PolicyBinding, actions?: readonly string[]): Causes {
  const { policyName, matchResources } = spec;
  return [
    ...(policyName
      ? invalidEach('spec.policyName', policyName, dnsSubdomain(policyName))
      : [required('spec.policyName')]),
    ...(matchResources ? matchCauses(matchResources, 'spec.matchResources') : []),
    ...(actions?.length === 0 ? [required('spec.validationActions')] : []),
    ...(actions ?? []).flatMap((action) =>
      oneOf('spec.validationActions', action, ['Audit', 'Deny', 'Warn']),
    ),
    ...(actions?.includes('Deny') && actions.includes('Warn')
      ? [
          invalidValue(
            'spec.validationActions',
            actions,
            'must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)',
          ),
        ]
      : []),
  ];
}

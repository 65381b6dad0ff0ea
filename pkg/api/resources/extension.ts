/** CustomResourceDefinitions and APIServices: what extends the API at run time. */

import { change, fill } from '../defaulting.ts';
import {
  type Causes,
  each,
  immutable,
  invalidEach,
  invalidValue,
  oneOf,
  required,
  requiredOneOf,
} from '../field-errors.ts';
import type {
  APIService,
  CustomResourceDefinition,
  CustomResourceDefinitionNames,
  CustomResourceDefinitionVersion,
} from '../generated/types.ts';
import { dns1035Label, dnsSubdomain } from '../names.ts';
import type { Resource } from '../resource.ts';
import { AGE, DEFAULT_COLUMNS, NAME, text } from './columns.ts';

const PRIORITY_MAX = 20_000;
const VERSION_PRIORITY_MAX = 1000;
const HTTPS_PORT = 443;

function namesDefaults(names: CustomResourceDefinitionNames): CustomResourceDefinitionNames {
  const { kind = '' } = names;
  return fill(names, { singular: kind.toLowerCase(), listKind: `${kind}List` });
}

function definitionDefaults(definition: CustomResourceDefinition): CustomResourceDefinition {
  return change(definition, {
    spec: (spec) =>
      change(fill(spec, { conversion: { strategy: 'None' } }), {
        names: namesDefaults,
        conversion: (conversion) =>
          change(conversion, {
            webhook: (webhook) =>
              change(webhook, {
                clientConfig: (client) =>
                  change(client, { service: (service) => fill(service, { port: HTTPS_PORT }) }),
              }),
          }),
      }),
  });
}

function definitionCauses({ metadata, spec }: CustomResourceDefinition): Causes {
  const { names, group, versions } = spec;
  const expected = `${names?.plural}.${group}`;
  const stored = (versions ?? []).filter(({ storage }) => storage);
  const one = 'must have exactly one version marked as storage version';
  return [
    ...(metadata.name === expected
      ? []
      : [invalidValue('metadata.name', metadata.name, `must be spec.names.plural+"."+spec.group`)]),
    ...groupCauses(group),
    ...requiredOneOf('spec.scope', spec.scope, ['Cluster', 'Namespaced']),
    ...nameCauses(names),
    ...(stored.length === 1 ? [] : [invalidValue('spec.versions', versions, one)]),
    ...each('spec.versions', versions, versionCauses),
    ...oneOf('spec.conversion.strategy', spec.conversion?.strategy, ['None', 'Webhook']),
    ...(spec.conversion?.strategy === 'Webhook' && !spec.conversion.webhook?.clientConfig
      ? [
          required(
            'spec.conversion.webhook.clientConfig',
            'required when strategy is set to Webhook',
          ),
        ]
      : []),
    ...(spec.preserveUnknownFields
      ? [invalidValue('spec.preserveUnknownFields', true, 'must be false')]
      : []),
  ];
}

function groupCauses(group: string | undefined): Causes {
  if (!group) return [required('spec.group')];
  const dotless = group.includes('.')
    ? []
    : [invalidValue('spec.group', group, 'should be a domain with at least one dot')];
  return [...invalidEach('spec.group', group, dnsSubdomain(group)), ...dotless];
}

function nameCauses(names: CustomResourceDefinitionNames | undefined): Causes {
  const { plural = '', singular = '', kind = '', listKind = '' } = names ?? {};
  return [
    ...(plural
      ? invalidEach('spec.names.plural', plural, dns1035Label(plural))
      : [required('spec.names.plural')]),
    ...(singular ? invalidEach('spec.names.singular', singular, dns1035Label(singular)) : []),
    ...(kind
      ? invalidEach('spec.names.kind', kind, dns1035Label(kind.toLowerCase()))
      : [required('spec.names.kind')]),
    ...(kind && kind === listKind
      ? [invalidValue('spec.names.listKind', listKind, 'kind and listKind may not be the same')]
      : []),
    ...each('spec.names.shortNames', names?.shortNames, (short, path) =>
      invalidEach(path, short, dns1035Label(short)),
    ),
    ...each('spec.names.categories', names?.categories, (category, path) =>
      invalidEach(path, category, dns1035Label(category)),
    ),
  ];
}

function versionCauses(version: CustomResourceDefinitionVersion, path: string): Causes {
  const { name, schema, additionalPrinterColumns: columns } = version;
  const types = ['boolean', 'date', 'integer', 'number', 'string'];
  return [
    ...(name ? invalidEach(`${path}.name`, name, dns1035Label(name)) : [required(`${path}.name`)]),
    ...(schema?.openAPIV3Schema
      ? []
      : [required(`${path}.schema.openAPIV3Schema`, 'schemas are required')]),
    ...(schema?.openAPIV3Schema && schema.openAPIV3Schema.type !== 'object'
      ? [
          invalidValue(
            `${path}.schema.openAPIV3Schema.type`,
            schema.openAPIV3Schema.type ?? '',
            'must be object at the root',
          ),
        ]
      : []),
    ...each(`${path}.additionalPrinterColumns`, columns, (column, at) => [
      ...(column.name ? [] : [required(`${at}.name`)]),
      ...(column.jsonPath ? [] : [required(`${at}.jsonPath`)]),
      ...requiredOneOf(`${at}.type`, column.type, types),
    ]),
  ];
}

export const customresourcedefinitions: Resource<CustomResourceDefinition> = {
  gvk: ['apiextensions.k8s.io', 'v1', 'CustomResourceDefinition'],
  names: {
    plural: 'customresourcedefinitions',
    singular: 'customresourcedefinition',
    short: ['crd', 'crds'],
    categories: ['api-extensions'],
  },
  namespaced: false,
  type: 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition',
  subresources: ['status'],
  hasGeneration: true,
  defaults: definitionDefaults,
  prepareForCreate: (definition) => ({
    ...definition,
    status: {
      acceptedNames: { kind: '', plural: '' },
      conditions: [],
      storedVersions: (definition.spec.versions ?? []).flatMap(({ name, storage }) =>
        storage ? [name] : [],
      ),
    },
  }),
  // A version that becomes the storage version counts as stored from now on.
  prepareForUpdate: (definition, old) => {
    const stored = old.status?.storedVersions ?? [];
    const added = (definition.spec.versions ?? []).flatMap(({ name, storage }) =>
      storage && !stored.includes(name) ? [name] : [],
    );
    if (added.length === 0) return definition;
    return { ...definition, status: { ...old.status, storedVersions: [...stored, ...added] } };
  },
  validate: definitionCauses,
  validateUpdate: ({ spec }, old) => [
    ...immutable('spec.scope', spec.scope, old.spec.scope),
    ...immutable('spec.group', spec.group, old.spec.group),
    ...immutable('spec.names.plural', spec.names?.plural, old.spec.names?.plural),
    ...immutable('spec.names.kind', spec.names?.kind, old.spec.names?.kind),
  ],
  columns: DEFAULT_COLUMNS,
};

function serviceCauses({ metadata, spec }: APIService): Causes {
  const {
    group = '',
    version = '',
    service,
    groupPriorityMinimum: priority,
    versionPriority,
  } = spec;
  const isInGroup = priority > 0 && priority <= PRIORITY_MAX;
  const isInVersion = versionPriority > 0 && versionPriority <= VERSION_PRIORITY_MAX;
  return [
    ...(metadata.name === `${version}.${group}`
      ? []
      : [invalidValue('metadata.name', metadata.name, 'must be `spec.version+"."+spec.group`')]),
    ...(version
      ? invalidEach('spec.version', version, dns1035Label(version))
      : [required('spec.version')]),
    ...(isInGroup
      ? []
      : [
          invalidValue(
            'spec.groupPriorityMinimum',
            priority,
            'must be positive and less than 20000',
          ),
        ]),
    ...(isInVersion
      ? []
      : [
          invalidValue(
            'spec.versionPriority',
            versionPriority,
            'must be positive and less than 1000',
          ),
        ]),
    ...(service && !service.namespace ? [required('spec.service.namespace')] : []),
    ...(service && !service.name ? [required('spec.service.name')] : []),
    ...(service && spec.insecureSkipTLSVerify && spec.caBundle
      ? [invalidValue('spec.insecureSkipTLSVerify', true, 'may not be true if caBundle is present')]
      : []),
  ];
}

export const apiservices: Resource<APIService> = {
  gvk: ['apiregistration.k8s.io', 'v1', 'APIService'],
  names: { plural: 'apiservices', singular: 'apiservice', categories: ['api-extensions'] },
  namespaced: false,
  type: 'io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService',
  subresources: ['status'],
  defaults: (object) =>
    change(fill(object, { status: {} }), {
      spec: (spec) => change(spec, { service: (service) => fill(service, { port: HTTPS_PORT }) }),
    }),
  prepareForCreate: (object) => ({ ...object, status: {} }),
  validate: serviceCauses,
  columns: [
    NAME,
    text('Service', ({ spec: { service } }) =>
      service ? `${service.namespace}/${service.name}` : 'Local',
    ),
    text('Available', ({ status }) => {
      const found = status?.conditions?.find(({ type }) => type === 'Available');
      if (!found) return 'Unknown';
      return found.status === 'True' ? 'True' : `${found.status} (${found.reason ?? ''})`;
    }),
    AGE,
  ],
};

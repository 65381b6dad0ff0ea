/** The kinds that are questions: posted, answered, never stored. */

import { type Causes, invalidValue, required } from '../field-errors.ts';
import type {
  LocalSubjectAccessReview,
  SelfSubjectAccessReview,
  SelfSubjectReview,
  SelfSubjectRulesReview,
  SubjectAccessReview,
  SubjectAccessReviewSpec,
  TokenReview,
} from '../generated/types.ts';
import type { Resource } from '../resource.ts';
import { NAME_AND_AGE } from './columns.ts';

const AUTHENTICATION = 'authentication.k8s.io';
const AUTHORIZATION = 'authorization.k8s.io';
const CREATE_ONLY = ['create'];

type Asked = Pick<SubjectAccessReviewSpec, 'resourceAttributes' | 'nonResourceAttributes'>;

function attributeCauses(spec: Asked | undefined): Causes {
  const { resourceAttributes, nonResourceAttributes } = spec ?? {};
  if (resourceAttributes && nonResourceAttributes) {
    const why = 'cannot be specified in combination with resourceAttributes';
    return [invalidValue('spec.nonResourceAttributes', nonResourceAttributes, why)];
  }
  if (resourceAttributes || nonResourceAttributes) return [];
  const why = 'exactly one of nonResourceAttributes or resourceAttributes must be specified';
  return [invalidValue('spec.resourceAttributes', null, why)];
}

function subjectCauses(spec: SubjectAccessReviewSpec | undefined): Causes {
  const isNamed = Boolean(spec?.user) || Boolean(spec?.groups?.length);
  const why = 'at least one of user or group must be specified';
  return [
    ...attributeCauses(spec),
    ...(isNamed ? [] : [invalidValue('spec.user', spec?.user ?? '', why)]),
  ];
}

export const selfsubjectreviews: Resource<SelfSubjectReview> = {
  gvk: [AUTHENTICATION, 'v1', 'SelfSubjectReview'],
  names: { plural: 'selfsubjectreviews', singular: 'selfsubjectreview' },
  namespaced: false,
  type: 'io.k8s.api.authentication.v1.SelfSubjectReview',
  verbs: CREATE_ONLY,
  validate: () => [],
  columns: NAME_AND_AGE,
};

export const tokenreviews: Resource<TokenReview> = {
  gvk: [AUTHENTICATION, 'v1', 'TokenReview'],
  names: { plural: 'tokenreviews', singular: 'tokenreview' },
  namespaced: false,
  type: 'io.k8s.api.authentication.v1.TokenReview',
  verbs: CREATE_ONLY,
  validate: ({ spec }) => (spec?.token ? [] : [required('spec.token')]),
  columns: NAME_AND_AGE,
};

export const localsubjectaccessreviews: Resource<LocalSubjectAccessReview> = {
  gvk: [AUTHORIZATION, 'v1', 'LocalSubjectAccessReview'],
  names: { plural: 'localsubjectaccessreviews', singular: 'localsubjectaccessreview' },
  namespaced: true,
  type: 'io.k8s.api.authorization.v1.LocalSubjectAccessReview',
  verbs: CREATE_ONLY,
  validate: ({ spec, metadata }) => {
    const asked = spec?.resourceAttributes?.namespace;
    const isOther = asked !== undefined && asked !== metadata.namespace;
    const why = `must match metadata.namespace: ${metadata.namespace}`;
    return [
      ...subjectCauses(spec),
      ...(isOther ? [invalidValue('spec.resourceAttributes.namespace', asked, why)] : []),
    ];
  },
  columns: NAME_AND_AGE,
};

export const selfsubjectaccessreviews: Resource<SelfSubjectAccessReview> = {
  gvk: [AUTHORIZATION, 'v1', 'SelfSubjectAccessReview'],
  names: { plural: 'selfsubjectaccessreviews', singular: 'selfsubjectaccessreview' },
  namespaced: false,
  type: 'io.k8s.api.authorization.v1.SelfSubjectAccessReview',
  verbs: CREATE_ONLY,
  validate: ({ spec }) => attributeCauses(spec),
  columns: NAME_AND_AGE,
};

export const selfsubjectrulesreviews: Resource<SelfSubjectRulesReview> = {
  gvk: [AUTHORIZATION, 'v1', 'SelfSubjectRulesReview'],
  names: { plural: 'selfsubjectrulesreviews', singular: 'selfsubjectrulesreview' },
  namespaced: false,
  type: 'io.k8s.api.authorization.v1.SelfSubjectRulesReview',
  verbs: CREATE_ONLY,
  validate: () => [],
  columns: NAME_AND_AGE,
};

export const subjectaccessreviews: Resource<SubjectAccessReview> = {
  gvk: [AUTHORIZATION, 'v1', 'SubjectAccessReview'],
  names: { plural: 'subjectaccessreviews', singular: 'subjectaccessreview' },
  namespaced: false,
  type: 'io.k8s.api.authorization.v1.SubjectAccessReview',
  verbs: CREATE_ONLY,
  validate: ({ spec }) => subjectCauses(spec),
  columns: NAME_AND_AGE,
};

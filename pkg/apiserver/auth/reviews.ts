/** The reviews: creates that are questions about users, tokens and permissions, and store nothing. */

import { badRequest } from '../../api/errors.ts';
import type {
  PolicyRule,
  SelfSubjectAccessReview,
  SelfSubjectRulesReview,
  SubjectAccessReview,
  SubjectAccessReviewSpec,
  TokenReview,
  UserInfo,
} from '../../api/generated/types.ts';
import type { ApiObject } from '../../api/meta.ts';
import type { Answerer, Attributes, Authorizer, User } from '../contract.ts';
import type { Rbac } from './rbac.ts';
import type { AccountTokens } from './service-account-tokens.ts';
import { TokenError } from './token-signer.ts';
import { authenticated, GROUP } from './users.ts';

export interface ReviewOptions {
  readonly authorizer: Authorizer;
  readonly rbac: Rbac;
  readonly accountTokens: AccountTokens;
  /** Audiences of the API server: those of a TokenReview that names none. */
  readonly audiences: readonly string[];
}

type Answer = (object: ApiObject, asker: User) => object | Promise<object>;

/** One answerer for each kind of review. */
export function createReviewAnswerers(options: ReviewOptions): readonly Answerer[] {
  const answers: Readonly<Record<string, Answer>> = {
    'tokenreviews.authentication.k8s.io': (object) =>
      tokenReview(options, decode<TokenReview>(object)),
    'selfsubjectreviews.authentication.k8s.io': (object, asker) => ({
      ...object,
      status: { userInfo: userInfo(asker) },
    }),
    'subjectaccessreviews.authorization.k8s.io': (object) =>
      accessReview(options, decode<SubjectAccessReview>(object)),
    'localsubjectaccessreviews.authorization.k8s.io': (object) =>
      localAccessReview(options, decode<SubjectAccessReview>(object)),
    'selfsubjectaccessreviews.authorization.k8s.io': (object, asker) => {
      const review = decode<SelfSubjectAccessReview>(object);
      return { ...review, status: decide(options.authorizer, asker, review.spec) };
    },
    'selfsubjectrulesreviews.authorization.k8s.io': (object, asker) =>
      rulesReview(options, decode<SelfSubjectRulesReview>(object), asker),
  };
  return Object.entries(answers).map(([resource, answer]) => ({
    resource,
    async answer({ object, user }) {
      if (!object) throw badRequest('the review has no body');
      return await answer(object, user);
    },
  }));
}

/** The REST layer has checked the object against the schema of its kind before it comes here. */
function decode<T extends ApiObject>(object: ApiObject): T {
  return object as T;
}

async function tokenReview(options: ReviewOptions, review: TokenReview): Promise<object> {
  const asked = review.spec.audiences?.length ? review.spec.audiences : options.audiences;
  try {
    const { user, audiences } = await options.accountTokens.verify(review.spec.token, asked);
    const status = { authenticated: true, user: userInfo(authenticated(user)), audiences };
    return { ...review, status };
  } catch (error) {
    if (!(error instanceof TokenError)) throw error;
    return { ...review, status: { authenticated: false, error: error.message } };
  }
}

function accessReview({ authorizer }: ReviewOptions, review: SubjectAccessReview): object {
  const { spec } = review;
  if (!spec.user && !spec.groups?.length) {
    throw badRequest('spec.user: at least one of user or group must be specified');
  }
  const user: User = {
    name: spec.user ?? '',
    groups: spec.groups ?? [],
    ...(spec.uid ? { uid: spec.uid } : {}),
    ...(spec.extra ? { extra: spec.extra } : {}),
  };
  return { ...review, status: decide(authorizer, user, spec) };
}

function localAccessReview(options: ReviewOptions, review: SubjectAccessReview): object {
  const { namespace } = review.metadata;
  if (
    review.spec.nonResourceAttributes ||
    review.spec.resourceAttributes?.namespace !== namespace
  ) {
    throw badRequest(
      `spec.resourceAttributes.namespace must match metadata.namespace: ${namespace}`,
    );
  }
  return accessReview(options, review);
}

type Question = Pick<SubjectAccessReviewSpec, 'resourceAttributes' | 'nonResourceAttributes'>;

function decide(authorizer: Authorizer, user: User, question: Question): object {
  const { isAllowed, reason } = authorizer.authorize(attributesOf(user, question));
  return { allowed: isAllowed, ...(reason ? { reason } : {}) };
}

function attributesOf(user: User, question: Question): Attributes {
  const { resourceAttributes: resource, nonResourceAttributes: path } = question;
  if ((resource === undefined) === (path === undefined)) {
    throw badRequest(
      'exactly one of spec.resourceAttributes and spec.nonResourceAttributes must be given',
    );
  }
  return {
    user,
    verb: resource?.verb ?? path?.verb ?? '',
    isResource: resource !== undefined,
    group: resource?.group ?? '',
    version: resource?.version ?? '',
    resource: resource?.resource ?? '',
    subresource: resource?.subresource ?? '',
    namespace: resource?.namespace ?? '',
    name: resource?.name ?? '',
    path: path?.path ?? '',
  };
}

function rulesReview({ rbac }: ReviewOptions, review: SelfSubjectRulesReview, asker: User): object {
  const namespace = review.spec.namespace ?? '';
  if (!namespace) throw badRequest('no namespace on request');
  const rules = asker.groups.includes(GROUP.masters) ? EVERYTHING : rbac.rulesFor(asker, namespace);
  return {
    ...review,
    status: {
      resourceRules: rules
        .filter(({ resources }) => resources?.length)
        .map(({ verbs, apiGroups, resources, resourceNames }) => ({
          verbs,
          apiGroups,
          resources,
          ...(resourceNames?.length ? { resourceNames } : {}),
        })),
      nonResourceRules: rules
        .filter(({ nonResourceURLs }) => nonResourceURLs?.length)
        .map(({ verbs, nonResourceURLs }) => ({ verbs, nonResourceURLs })),
      incomplete: false,
    },
  };
}

const EVERYTHING: readonly PolicyRule[] = [
  { apiGroups: ['*'], resources: ['*'], verbs: ['*'] },
  { nonResourceURLs: ['*'], verbs: ['*'] },
];

function userInfo({ name, uid, groups, extra }: User): UserInfo {
  return { username: name, ...(uid ? { uid } : {}), groups, ...(extra ? { extra } : {}) };
}

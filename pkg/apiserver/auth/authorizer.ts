/** Who may do what: system:masters everything, nodes what they run, everybody what RBAC grants. */

import type { Authorizer, Registry } from '../contract.ts';
import { createNodeAuthorizer } from './node-authorizer.ts';
import { createRbac, type Rbac } from './rbac.ts';
import { GROUP } from './users.ts';

export interface AuthorizerWithRbac extends Authorizer {
  readonly rbac: Rbac;
}

export function createAuthorizer(registry: Registry): AuthorizerWithRbac {
  const rbac = createRbac(registry);
  const nodes = createNodeAuthorizer(registry);
  return {
    rbac,
    authorize(attributes) {
      if (attributes.user.groups.includes(GROUP.masters)) {
        return { isAllowed: true, reason: 'member of system:masters' };
      }
      const byNode = nodes.authorize(attributes);
      if (byNode.isAllowed) return byNode;
      const byRbac = rbac.authorize(attributes);
      return byRbac.isAllowed ? byRbac : { isAllowed: false, reason: byNode.reason };
    },
  };
}

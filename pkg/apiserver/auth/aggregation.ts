/** Aggregated ClusterRoles: their rules are the union of those of the roles that their selectors choose. */

import { isDeepStrictEqual } from 'node:util';
import type { ClusterRole, PolicyRule } from '../../api/generated/types.ts';
import { matchesLabels, selectorOf } from '../../api/selectors.ts';
import type { Registry } from '../contract.ts';

/** Roles aggregate into roles (view into edit into admin); no chain of the default ones is longer. */
const MAX_PASSES = 10;

/** Writes the rules of each aggregated role that are not as they should be; resolves to how many it wrote. */
export async function aggregateClusterRoles(registry: Registry): Promise<number> {
  let total = 0;
  for (let pass = 0; pass < MAX_PASSES; pass += 1) {
    const roles = registry.list<ClusterRole>('clusterroles').items;
    const wrong = roles.flatMap((role) => {
      const rules = aggregatedRules(role, roles);
      return rules && !isDeepStrictEqual(rules, role.rules ?? []) ? [{ role, rules }] : [];
    });
    if (wrong.length === 0) break;
    await Promise.all(
      wrong.map(({ role, rules }) =>
        registry.modify<ClusterRole>('clusterroles', role.metadata, (current) => ({
          ...current,
          rules,
        })),
      ),
    );
    total += wrong.length;
  }
  return total;
}

/** The rules that an aggregated role should have, in the order of the roles' names; undefined for any other role. */
export function aggregatedRules(
  role: Pick<ClusterRole, 'metadata' | 'aggregationRule'>,
  roles: readonly Pick<ClusterRole, 'metadata' | 'rules'>[],
): readonly PolicyRule[] | undefined {
  const selectors = role.aggregationRule?.clusterRoleSelectors;
  if (!selectors) return undefined;
  const chosen = selectors.map(selectorOf);
  const sources = roles
    .filter(({ metadata }) => metadata.name !== role.metadata.name)
    .filter(({ metadata }) => chosen.some((selector) => matchesLabels(selector, metadata.labels)))
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const rules: PolicyRule[] = [];
  const seen = new Set<string>();
  for (const rule of sources.flatMap((source) => source.rules ?? [])) {
    const key = JSON.stringify(rule);
    if (!seen.has(key)) rules.push(rule);
    seen.add(key);
  }
  return rules;
}

/** What one RBAC rule allows, and whether a set of rules covers another. Pure. */

import type { PolicyRule } from '../../api/generated/types.ts';
import type { Attributes } from '../contract.ts';

export type Asked = Omit<Attributes, 'user' | 'version'>;

const ANY = '*';

/** Whether this rule allows what is asked. */
export function ruleAllows(rule: PolicyRule, asked: Asked): boolean {
  if (!has(rule.verbs, asked.verb)) return false;
  if (!asked.isResource)
    return (rule.nonResourceURLs ?? []).some((url) => urlMatches(url, asked.path));
  return (
    has(rule.apiGroups, asked.group) &&
    resourceMatches(rule.resources, asked) &&
    ((rule.resourceNames ?? []).length === 0 || (rule.resourceNames ?? []).includes(asked.name))
  );
}

/** The rules of `requested` that `owned` does not cover: what a user would gain. */
export function uncovered(
  owned: readonly PolicyRule[],
  requested: readonly PolicyRule[],
): readonly PolicyRule[] {
  return requested.flatMap(atoms).filter((atom) => !owned.some((rule) => coversAtom(rule, atom)));
}

/** A rule as Kubernetes prints it in refusals. */
export function formatRule(rule: PolicyRule): string {
  const part = (name: string, values: readonly string[] | undefined) =>
    values && values.length > 0
      ? [`${name}:[${values.map((value) => `"${value}"`).join(' ')}]`]
      : [];
  return `{${[
    ...part('APIGroups', rule.apiGroups),
    ...part('Resources', rule.resources),
    ...part('ResourceNames', rule.resourceNames),
    ...part('NonResourceURLs', rule.nonResourceURLs),
    ...part('Verbs', rule.verbs),
  ].join(', ')}}`;
}

function has(values: readonly string[] | undefined, wanted: string): boolean {
  return values !== undefined && (values.includes(ANY) || values.includes(wanted));
}

function resourceMatches(
  resources: readonly string[] | undefined,
  { resource, subresource }: Pick<Asked, 'resource' | 'subresource'>,
): boolean {
  if (!resources) return false;
  if (resources.includes(ANY)) return true;
  if (!subresource) return resources.includes(resource);
  return (
    resources.includes(`${resource}/${subresource}`) || resources.includes(`${ANY}/${subresource}`)
  );
}

function urlMatches(pattern: string, path: string): boolean {
  if (pattern === ANY || pattern === path) return true;
  return pattern.endsWith(ANY) && path.startsWith(pattern.slice(0, -1));
}

/** A rule as rules of one verb on one resource (and name) or URL each. */
function atoms(rule: PolicyRule): PolicyRule[] {
  const names = rule.resourceNames ?? [];
  const resources = (rule.apiGroups ?? []).flatMap((group) =>
    (rule.resources ?? []).flatMap((resource) => {
      const one = { apiGroups: [group], resources: [resource] };
      return names.length === 0 ? [one] : names.map((name) => ({ ...one, resourceNames: [name] }));
    }),
  );
  const urls = (rule.nonResourceURLs ?? []).map((url) => ({ nonResourceURLs: [url] }));
  return rule.verbs.flatMap((verb) =>
    [...resources, ...urls].map((one) => ({ ...one, verbs: [verb] })),
  );
}

function coversAtom(rule: PolicyRule, atom: PolicyRule): boolean {
  if (!has(rule.verbs, atom.verbs[0] ?? '')) return false;
  const [url] = atom.nonResourceURLs ?? [];
  if (url !== undefined) return (rule.nonResourceURLs ?? []).some((own) => urlMatches(own, url));
  const [resource = '', subresource = ''] = (atom.resources?.[0] ?? '').split('/');
  const [name] = atom.resourceNames ?? [];
  const names = rule.resourceNames ?? [];
  return (
    has(rule.apiGroups, atom.apiGroups?.[0] ?? '') &&
    resourceMatches(rule.resources, { resource, subresource }) &&
    (names.length === 0 || (name !== undefined && names.includes(name)))
  );
}

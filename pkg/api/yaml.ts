/** How Kubernetes reads YAML, for the parser of the package `yaml`: 1.1, so that `defaultMode: 0644` is octal. */

import type { Tags } from 'yaml';

/** Forms of YAML 1.1 that kubectl's reader leaves as strings. */
const STRING_TAGS = ['timestamp', 'binary', 'omap', 'pairs', 'set'];

export const KUBERNETES_YAML = {
  version: '1.1',
  merge: true,
  customTags: (tags: Tags) => tags.filter(isKept),
} as const;

/** Whether a form of scalars means to Kubernetes' reader what it means in YAML 1.1; `1:30` is text to it. */
function isKept(tag: Tags[number]): boolean {
  if (typeof tag === 'string') return !STRING_TAGS.includes(tag);
  const isTime = 'format' in tag && tag.format === 'TIME';
  return !isTime && !STRING_TAGS.some((name) => tag.tag === `tag:yaml.org,2002:${name}`);
}

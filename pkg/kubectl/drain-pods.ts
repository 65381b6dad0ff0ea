/** Which pods of a node a drain takes away, which it leaves, and which forbid it. Source: kubectl pkg/drain/filters.go. */

import type { Pod } from '../api/generated/types.ts';

export interface Choice {
  readonly pods: readonly Pod[];
  /** What is left or lost knowingly; empty = nothing. */
  readonly warning: string;
  /** What forbids the drain; empty = nothing. */
  readonly errors: string;
}

export interface Rules {
  readonly isForced: boolean;
  readonly ignoresDaemonSets: boolean;
  readonly deletesEmptyDir: boolean;
  hasDaemonSet(namespace: string, name: string): Promise<boolean>;
}

const MIRROR = 'kubernetes.io/config.mirror';
const TERMINAL: ReadonlySet<string> = new Set(['Succeeded', 'Failed']);

const DAEMON_ERROR = 'cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore)';
const DAEMON_WARNING = 'ignoring DaemonSet-managed Pods';
const LOCAL_ERROR =
  'cannot delete Pods with local storage (use --delete-emptydir-data to override)';
const LOCAL_WARNING = 'deleting Pods with local storage';
/** The words twice, as kubectl has them. */
const UNMANAGED_ERROR =
  'cannot delete cannot delete Pods that declare no controller (use --force to override)';
const UNMANAGED_WARNING = 'deleting Pods that declare no controller';

interface Verdict {
  readonly isTaken: boolean;
  readonly warning?: string;
  readonly error?: string;
}

const TAKEN: Verdict = { isTaken: true };

/** Judges every pod; the messages name all pods that share a reason. */
export async function choosePods(pods: readonly Pod[], rules: Rules): Promise<Choice> {
  const taken: Pod[] = [];
  const warnings = new Map<string, string[]>();
  const errors = new Map<string, string[]>();
  for (const pod of pods) {
    const verdict = await judge(pod, rules);
    const { namespace = '', name } = pod.metadata;
    if (verdict.isTaken) taken.push(pod);
    if (verdict.warning) note(warnings, verdict.warning, `${namespace}/${name}`);
    if (verdict.error) note(errors, verdict.error, `${namespace}/${name}`);
  }
  const texts = [...errors].map(([why, names]) => `${why}: ${names.join(', ')}`);
  return {
    pods: taken,
    warning: [...warnings].map(([why, names]) => `${why}: ${names.join(', ')}`).join('; '),
    errors: texts.length > 1 ? `[${texts.join(', ')}]` : (texts[0] ?? ''),
  };
}

function note(found: Map<string, string[]>, why: string, name: string): void {
  found.set(why, [...(found.get(why) ?? []), name]);
}

/** The first filter that leaves a pod decides; the last warning or error of those that take it counts. */
async function judge(pod: Pod, rules: Rules): Promise<Verdict> {
  if (pod.metadata.annotations?.[MIRROR] !== undefined) return { isTaken: false };
  const daemon = await daemonVerdict(pod, rules);
  if (!daemon.isTaken) return daemon;
  const isOver = TERMINAL.has(pod.status?.phase ?? '');
  if (isOver) return TAKEN;
  const hasLocal = pod.spec.volumes?.some(({ emptyDir }) => emptyDir) ?? false;
  if (hasLocal && !rules.deletesEmptyDir) return { isTaken: false, error: LOCAL_ERROR };
  const isManaged = controllerOf(pod) !== undefined;
  if (!isManaged && !rules.isForced) return { isTaken: false, error: UNMANAGED_ERROR };
  const warning = !isManaged ? UNMANAGED_WARNING : hasLocal ? LOCAL_WARNING : undefined;
  return { isTaken: true, ...(warning ? { warning } : {}) };
}

async function daemonVerdict(pod: Pod, rules: Rules): Promise<Verdict> {
  const controller = controllerOf(pod);
  if (controller?.kind !== 'DaemonSet' || TERMINAL.has(pod.status?.phase ?? '')) return TAKEN;
  const { namespace = '' } = pod.metadata;
  if (!(await rules.hasDaemonSet(namespace, controller.name)))
    return rules.isForced
      ? TAKEN
      : { isTaken: false, error: `daemonsets.apps "${controller.name}" not found` };
  return rules.ignoresDaemonSets
    ? { isTaken: false, warning: DAEMON_WARNING }
    : { isTaken: false, error: DAEMON_ERROR };
}

function controllerOf({ metadata }: Pod) {
  return metadata.ownerReferences?.find(({ controller }) => controller);
}

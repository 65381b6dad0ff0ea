/** What the flags say of the node itself. */

import { join } from 'node:path';
import {
  checkThresholds,
  type NodeLimits,
  parseKubeletArgs,
} from '../pkg/agent/node/kubelet-args.ts';
import { KubeletArgError } from '../pkg/agent/node/kubelet-values.ts';
import { type ShutdownGroup, twoGroups } from '../pkg/agent/node/shutdown.ts';
import type { Taint } from '../pkg/api/generated/types.ts';
import { readIfPresent } from '../pkg/pki/file.ts';
import { type Flags, UsageError, UserError } from './command.ts';
import { durationMs } from './durations.ts';
import { defaultNodeIp } from './node-defaults.ts';

export interface NodeSettings {
  readonly nodeIps: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly Taint[];
  readonly cgroupRoot: string;
  readonly podManifestPath: string;
  readonly limits: NodeLimits;
}

/** The flags have been checked: labels and taints are well-formed. */
export function readNodeSettings(flags: Flags): NodeSettings {
  return {
    nodeIps: flags.list('node-ip').length > 0 ? flags.list('node-ip') : [defaultNodeIp()],
    labels: Object.fromEntries(
      flags.list('node-label').map((pair) => {
        const at = pair.indexOf('=');
        return [pair.slice(0, at), pair.slice(at + 1)];
      }),
    ),
    taints: flags.list('node-taint').map(taintOf),
    cgroupRoot: flags.text('cgroup-root'),
    podManifestPath: manifestPath(flags),
    limits: readLimits(flags),
  };
}

/**
 * In which order pods end when the host goes down; none = they do not. Throws a UsageError on settings that contradict
 * each other.
 */
export function shutdownGroups(flags: Flags): readonly ShutdownGroup[] {
  const pairs = flags.list('shutdown-grace-period-by-pod-priority');
  const seconds = (name: string) => (durationMs(flags.text(name)) ?? 0) / 1000;
  const graceSeconds = seconds('shutdown-grace-period');
  const criticalSeconds = seconds('shutdown-grace-period-critical-pods');
  if (pairs.length > 0 && graceSeconds > 0)
    throw new UsageError(
      '--shutdown-grace-period-by-pod-priority and --shutdown-grace-period exclude each other: give one of them',
    );
  if (criticalSeconds > graceSeconds)
    throw new UsageError(
      '--shutdown-grace-period-critical-pods is a part of --shutdown-grace-period: it must not be longer',
    );
  if (graceSeconds > 0) return twoGroups(graceSeconds, criticalSeconds);
  return pairs.map((pair) => {
    const [priority = '', period = ''] = pair.split('=');
    return { priority: Number(priority), graceSeconds: Number(period) };
  });
}

/** Directory of the manifests of static pods. */
export function manifestPath(flags: Flags): string {
  return (
    flags.optional('pod-manifest-path') ?? join(flags.text('data-dir'), 'agent', 'pod-manifests')
  );
}

/** The flags have been checked one by one. Throws a UsageError when they contradict each other. */
function readLimits(flags: Flags): NodeLimits {
  const maxPods = flags.optional('max-pods');
  const args = maxPods === undefined ? [] : [`max-pods=${maxPods}`];
  try {
    const limits = parseKubeletArgs([...flags.list('kubelet-arg'), ...args]);
    checkThresholds(limits);
    return limits;
  } catch (error) {
    if (error instanceof KubeletArgError) throw new UsageError(`--kubelet-arg ${error.message}`);
    throw error;
  }
}

/** `key=value:effect` or `key:effect`. */
function taintOf(text: string): Taint {
  const at = text.lastIndexOf(':');
  const [key = '', value] = text.slice(0, at).split('=');
  return { key, effect: text.slice(at + 1), ...(value ? { value } : {}) };
}

/** The token of --token or of the file that --token-file names. */
export function readToken(flags: Flags): string | undefined {
  const path = flags.optional('token-file');
  const token = flags.optional('token');
  if (token !== undefined || path === undefined) return token;
  const text = readIfPresent(path)?.trim();
  if (!text) throw new UserError(`Token file ${path} does not exist or is empty`);
  return text;
}

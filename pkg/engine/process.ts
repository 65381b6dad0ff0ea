/** What a container's process is: arguments, environment, directory and user, from its config and its image. */

import type { ImageConfig } from '../image/image-store.ts';
import { type ContainerConfig, EngineError, type Security } from './engine.ts';
import { readRootedFile } from './rooted-file.ts';
import { type ProcessUser, resolveUser } from './users.ts';

export interface ProcessPlan {
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: ProcessUser;
}

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface PlanFacts {
  readonly config: ContainerConfig;
  readonly image: ImageConfig;
  /** Directories of the root, topmost first. */
  readonly roots: readonly string[];
  readonly hostname: string;
}

/** Throws EngineError StartFailed when there is no command or its user is unknown. */
export function planProcess({ config, image, roots, hostname }: PlanFacts): ProcessPlan {
  const args = argsOf(config, image);
  if (args.length === 0) {
    throw new EngineError(
      'StartFailed',
      `no command specified: neither the container nor image ${config.image} has one`,
    );
  }
  const defaults = [
    `PATH=${DEFAULT_PATH}`,
    `HOSTNAME=${hostname}`,
    ...(config.hasTerminal ? ['TERM=xterm'] : []),
  ];
  return {
    args,
    env: mergeEnv([...defaults, ...image.env, ...config.env]),
    cwd: config.workingDir || image.workingDir || '/',
    user: userOf(config.security, { fallback: image.user, roots }),
  };
}

/** A command replaces the image's entrypoint and its cmd too; args alone replace the cmd. */
function argsOf(config: ContainerConfig, image: ImageConfig): readonly string[] {
  const { command = [], args = [] } = config;
  if (command.length > 0) return [...command, ...args];
  return [...image.entrypoint, ...(args.length > 0 ? args : image.cmd)];
}

/** The later value of a name wins, at the place of the first. */
export function mergeEnv(entries: readonly string[]): readonly string[] {
  const merged = new Map<string, string>();
  for (const entry of entries) {
    const at = entry.indexOf('=');
    merged.set(at < 0 ? entry : entry.slice(0, at), entry);
  }
  return [...merged.values()];
}

/** The user of a security context, else the fallback text (an image's User). Throws EngineError StartFailed. */
export function userOf(
  security: Pick<Security, 'user' | 'uid' | 'gid' | 'additionalGids' | 'hasOwnGroupsOnly'>,
  { fallback, roots }: { readonly fallback: string; readonly roots: readonly string[] },
): ProcessUser {
  const text = security.uid === undefined ? (security.user ?? fallback) : String(security.uid);
  let user: ProcessUser;
  try {
    user = resolveUser(text, {
      passwd: readRootedFile(roots, '/etc/passwd'),
      group: readRootedFile(roots, '/etc/group'),
    });
  } catch (error) {
    throw new EngineError('StartFailed', error instanceof Error ? error.message : '', error);
  }
  const more = security.additionalGids ?? [];
  const imageGroups = security.hasOwnGroupsOnly ? [] : user.additionalGids;
  const gid = security.gid ?? user.gid;
  // Its own group is among them, so that a file's mode for others is never the one that counts.
  return { uid: user.uid, gid, additionalGids: [...new Set([gid, ...imageGroups, ...more])] };
}

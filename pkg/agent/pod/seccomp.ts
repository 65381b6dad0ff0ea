/** Which seccomp profile a container of a pod has. */

import { readFile } from 'node:fs/promises';
import { join, normalize } from 'node:path';
import type { Container, Pod } from '../../api/generated/types.ts';
import type { Security } from '../../engine/engine.ts';
import { ConfigError, StartError } from './start-error.ts';

/** Directory of the profiles of type Localhost. */
function seccompDir(dataDir: string): string {
  return join(dataDir, 'seccomp');
}

/** Rejects with a ConfigError, or a StartError when the file is not there or is no JSON. */
export async function seccompFor(
  pod: Pod,
  container: Container,
  dataDir: string,
): Promise<NonNullable<Security['seccomp']>> {
  const profile =
    container.securityContext?.seccompProfile ?? pod.spec.securityContext?.seccompProfile;
  if (profile?.type === 'Unconfined') return 'unconfined';
  if (profile?.type !== 'Localhost') return 'default';
  const name = profile.localhostProfile ?? '';
  if (name === '')
    throw new ConfigError('localhostProfile must be set if seccompProfile type is Localhost');
  if (name.startsWith('/') || normalize(name).startsWith('..')) {
    throw new ConfigError(
      `localhostProfile "${name}" must be a path below the node's seccomp directory`,
    );
  }
  const path = join(seccompDir(dataDir), name);
  try {
    JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new StartError(
      'CreateContainerError',
      `cannot load seccomp profile "${path}": ${why}`,
      error,
    );
  }
  return { path };
}

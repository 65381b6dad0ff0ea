/** Translates a container of a pod into what the engine is to create. */

import type {
  Container,
  Pod,
  PodSecurityContext,
  SecurityContext,
} from '../../api/generated/types.ts';
import type { ContainerConfig, Device, Mount, Resources, Security } from '../../engine/engine.ts';
import type { Image } from '../../image/image-store.ts';
import { nameOf, parseReference } from '../../image/reference.ts';
import { expand } from './expand.ts';
import { containerLabels, podText } from './labels.ts';
import { labelsOf } from './security-modules.ts';
import { ConfigError } from './start-error.ts';

export interface ConfigFacts {
  readonly id: string;
  readonly sandboxId: string;
  readonly pod: Pod;
  readonly container: Container;
  readonly attempt: number;
  readonly epoch?: number;
  /** Whose process namespace it joins. */
  readonly pidOfContainer?: string;
  readonly image: Image;
  readonly env: ReadonlyMap<string, string>;
  readonly mounts: readonly Mount[];
  readonly devices: readonly Device[];
  readonly resources: Resources;
  readonly oomScoreAdj: number;
  readonly cgroupParent: string;
  readonly logPath: string;
  readonly seccomp: NonNullable<Security['seccomp']>;
}

/** Throws a ConfigError on what the pod may not have. */
export function containerConfig(facts: ConfigFacts): ContainerConfig {
  const { pod, container, env, image } = facts;
  const replace = (text: string) => expand(text, env);
  const { lifecycle } = container;
  return {
    id: facts.id,
    sandboxId: facts.sandboxId,
    labels: containerLabels(pod, container, { ...facts, imageRef: imageRefOf(container, image) }),
    image: image.id,
    ...(container.command?.length ? { command: container.command.map(replace) } : {}),
    ...(container.args?.length ? { args: container.args.map(replace) } : {}),
    env: [...env].map(([name, value]) => `${name}=${value}`),
    ...(container.workingDir ? { workingDir: container.workingDir } : {}),
    mounts: facts.mounts,
    ...(facts.devices.length > 0 ? { devices: facts.devices } : {}),
    resources: facts.resources,
    security: securityOf(facts),
    cgroupParent: facts.cgroupParent,
    logPath: facts.logPath,
    hasTerminal: container.tty === true,
    hasStdin: container.stdin === true,
    isStdinOnce: container.stdinOnce === true,
    oomScoreAdj: facts.oomScoreAdj,
    ...(lifecycle?.stopSignal ? { stopSignal: lifecycle.stopSignal } : {}),
  };
}

/** The image by digest, of the repository that the container names if that has it. */
function imageRefOf({ image = '' }: Container, { digests }: Image): string | undefined {
  const name = repositoryOf(image);
  return digests.find((digest) => repositoryOf(digest) === name) ?? digests[0];
}

/** Undefined for what is no name: an image may be meant by its id. */
function repositoryOf(image: string): string | undefined {
  try {
    return nameOf(parseReference(image));
  } catch {
    return undefined;
  }
}

function securityOf(facts: ConfigFacts): Security {
  const { pod, container, image, pidOfContainer, seccomp } = facts;
  const own: SecurityContext = container.securityContext ?? {};
  const all: PodSecurityContext = pod.spec.securityContext ?? {};
  const uid = own.runAsUser ?? all.runAsUser;
  const gid = own.runAsGroup ?? all.runAsGroup;
  if (own.runAsNonRoot ?? all.runAsNonRoot) checkNonRoot(pod, container, { uid, image });
  const groups = [
    ...(all.supplementalGroups ?? []),
    ...(all.fsGroup === undefined ? [] : [all.fsGroup]),
  ];
  return {
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
    ...(groups.length > 0 ? { additionalGids: groups } : {}),
    isPrivileged: own.privileged === true,
    isReadOnlyRoot: own.readOnlyRootFilesystem === true,
    mayGainPrivileges: own.allowPrivilegeEscalation !== false,
    addCapabilities: own.capabilities?.add ?? [],
    dropCapabilities: own.capabilities?.drop ?? [],
    isHostPid: pod.spec.hostPID === true,
    seccomp,
    ...labelsOf(pod, container),
    isProcUnmasked: own.procMount === 'Unmasked',
    hasOwnGroupsOnly: all.supplementalGroupsPolicy === 'Strict',
    ...(pidOfContainer === undefined ? {} : { pidOfContainer }),
  };
}

/** In the kubelet's words. */
function checkNonRoot(pod: Pod, { name }: Container, { uid, image }: NonRootFacts): void {
  const which = `(pod: "${podText(pod)}", container: ${name})`;
  if (uid !== undefined) {
    if (uid !== 0) return;
    throw new ConfigError(`container's runAsUser breaks non-root policy ${which}`);
  }
  const user = image.config.user.split(':')[0] ?? '';
  if (user === '' || user === '0') {
    throw new ConfigError(`container has runAsNonRoot and image will run as root ${which}`);
  }
  if (!/^\d+$/.test(user)) {
    throw new ConfigError(
      `container has runAsNonRoot and image has non-numeric user (${user}), cannot verify user is non-root ${which}`,
    );
  }
}

interface NonRootFacts {
  readonly uid: number | undefined;
  readonly image: Image;
}

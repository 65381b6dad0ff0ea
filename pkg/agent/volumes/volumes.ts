/**
 * The volumes of one node's pods: made before a pod's containers, kept up to date while it runs, removed after it.
 * Small volumes with content from the API lie under the run directory (tmpfs), emptyDir under the data directory.
 */

import { chmod, chown, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ConfigMap, Pod, Secret, Volume } from '../../api/generated/types.ts';
import { type Paths, podDir, podRunDir } from '../paths.ts';
import type { FieldFacts } from '../pod/field-ref.ts';
import type { References } from '../references.ts';
import { writePayload } from './atomic-writer.ts';
import { hostPath } from './host-path.ts';
import { type PayloadSources, payloadOf } from './payload-of.ts';
import type { Tokens } from './tokens.ts';

interface VolumesOptions {
  readonly paths: Paths;
  readonly references: References;
  readonly tokens: Tokens;
}

/** A volume could not be made; the message is for the FailedMount event. */
export class VolumeError extends Error {
  readonly volume: string;
  constructor(volume: string, cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause);
    super(`MountVolume.SetUp failed for volume "${volume}" : ${why}`, { cause });
    this.volume = volume;
  }
}

export class Volumes {
  readonly #options: VolumesOptions;

  constructor(options: VolumesOptions) {
    this.#options = options;
  }

  /** Makes all volumes of the pod, or brings them up to date; returns their host paths. Rejects with a VolumeError. */
  async setUp(facts: FieldFacts, signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    const { pod } = facts;
    const volumes = pod.spec.volumes ?? [];
    const made = await Promise.all(
      volumes.map(async (volume): Promise<readonly [string, string]> => {
        try {
          return [volume.name, await this.#setUpOne(facts, volume, signal)];
        } catch (error) {
          if (signal.aborted) throw error;
          throw new VolumeError(volume.name, error);
        }
      }),
    );
    return new Map(made);
  }

  /** When a token of the pod must be renewed. */
  refreshAtMs(uid: string): number | undefined {
    return this.#options.tokens.refreshAtMs(uid);
  }

  /** Removes everything the pod has on disk but its logs. */
  async remove(uid: string): Promise<void> {
    const { paths, tokens } = this.#options;
    tokens.forget(uid);
    await rm(podDir(paths, uid), { recursive: true, force: true });
    await rm(podRunDir(paths, uid), { recursive: true, force: true });
  }

  async #setUpOne(facts: FieldFacts, volume: Volume, signal: AbortSignal): Promise<string> {
    const { pod } = facts;
    const gid = pod.spec.securityContext?.fsGroup;
    if (volume.emptyDir) return this.#emptyDir(pod, volume, gid);
    if (volume.hostPath) return hostPath(volume.hostPath);
    const payload = await payloadOf(volume, this.#sources(facts, signal));
    if (!payload) {
      const kind = Object.keys(volume).find((key) => key !== 'name') ?? 'unknown';
      throw new Error(`volumes of kind ${kind} are not supported by this node`);
    }
    const directory = this.#path(pod, volume.name, true);
    await writePayload(directory, payload, { gid });
    return directory;
  }

  async #emptyDir(pod: Pod, { name, emptyDir }: Volume, gid: number | undefined): Promise<string> {
    const path = this.#path(pod, name, emptyDir?.medium === 'Memory');
    const made = await mkdir(path, { recursive: true });
    if (made === undefined) return path;
    if (gid !== undefined) await chown(path, 0, gid);
    await chmod(path, gid === undefined ? 0o777 : 0o2777);
    return path;
  }

  #path(pod: Pod, name: string, isInMemory: boolean): string {
    const { paths } = this.#options;
    const { uid } = pod.metadata;
    return join(isInMemory ? podRunDir(paths, uid) : podDir(paths, uid), 'volumes', name);
  }

  #sources(facts: FieldFacts, signal: AbortSignal): PayloadSources {
    const { references, tokens } = this.#options;
    const namespace = facts.pod.metadata.namespace ?? '';
    return {
      ...facts,
      lookup: (kind, name) =>
        references.get<ConfigMap | Secret>({ kind, ref: { namespace, name } }, signal),
      token: (options) => tokens.get(facts.pod, options, signal),
    };
  }
}

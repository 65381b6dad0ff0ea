/** What the engine keeps on disk: one JSON file for each sandbox and each container, in a directory of its own. */

import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../log/log.ts';
import { readStateFile, StateFile } from '../runtime/atomic-file.ts';
import type { Exit } from '../runtime/runtime.ts';
import { type ContainerConfig, EngineError, type SandboxConfig } from './engine.ts';
import type { ProcessPlan } from './process.ts';

export interface SandboxRecord {
  readonly config: SandboxConfig;
  readonly createdAt: string;
  /** On the bridge, with its prefix length: `10.42.0.5/24`. */
  readonly address?: string;
  /** First of the host's ids that its user namespace has. */
  readonly firstId?: number;
}

export interface ContainerRecord {
  readonly config: ContainerConfig;
  readonly imageId: string;
  /** Lower directories, topmost first; stay even if the image is removed. */
  readonly layers: readonly string[];
  readonly process: ProcessPlan;
  readonly stopSignal: number;
  readonly createdAt: string;
  /** Set before its first start: one that is gone without an exit died with the host, or was never made. */
  readonly isStarted: boolean;
  /** Of the run directory at its start; see Runtime.runId. */
  readonly runId?: string;
  readonly startedAt?: string;
  readonly exit?: Exit;
}

/** Ids are names of directories. Throws EngineError. */
export function checkId(what: 'container' | 'sandbox', id: string): void {
  if (/^[a-z0-9]{1,64}$/.test(id)) return;
  throw new EngineError('Internal', `${what} id "${id}" must be 1 to 64 of a-z and 0-9`);
}

/** A directory of records: `<root>/<id>/<file>`. */
export class RecordDirectory<T extends { readonly createdAt: string }> {
  readonly root: string;
  readonly #name: string;
  readonly #files = new Map<string, StateFile>();

  constructor(root: string, name: string) {
    this.root = root;
    this.#name = name;
  }

  path(id: string): string {
    return join(this.root, id);
  }

  /** All records, by id; the ids of those that cannot be read apart. */
  async load(log: Logger): Promise<{ records: Map<string, T>; broken: string[] }> {
    await mkdir(this.root, { recursive: true, mode: 0o700 });
    const records = new Map<string, T>();
    const broken: string[] = [];
    for (const id of await readdir(this.root)) {
      try {
        const value = await readStateFile(join(this.root, id, this.#name));
        // Its making or its removal was cut off by a crash: nobody believes that it exists.
        if (value === undefined) broken.push(id);
        else records.set(id, decode<T>(value));
      } catch (error) {
        log.warn('Dropped a record that cannot be read', { id, directory: this.root, error });
        broken.push(id);
      }
    }
    return { records, broken };
  }

  async make(id: string): Promise<void> {
    await mkdir(this.path(id), { recursive: true, mode: 0o700 });
  }

  /** Writes what `snapshot` returns; not synced to the disk: after a power cut its containers are gone anyway. */
  save(id: string, snapshot: () => T): Promise<void> {
    let file = this.#files.get(id);
    if (file === undefined) {
      file = new StateFile(join(this.path(id), this.#name), { isDurable: false });
      this.#files.set(id, file);
    }
    return file.save(snapshot);
  }

  /** The first step of a removal: what a crash leaves of it is then removed at the next start. */
  async forget(id: string): Promise<void> {
    this.#files.delete(id);
    await rm(join(this.path(id), this.#name), { force: true });
  }

  /** Removes the directory of a forgotten record that holds nothing else of size. */
  async remove(id: string): Promise<void> {
    await rm(this.path(id), { recursive: true, force: true });
  }
}

function decode<T extends { readonly createdAt: string }>(value: unknown): T {
  const record = value as { readonly config?: unknown; readonly createdAt?: unknown } | undefined;
  if (typeof record?.config !== 'object' || typeof record.createdAt !== 'string') {
    throw new Error('not a record');
  }
  return value as T;
}

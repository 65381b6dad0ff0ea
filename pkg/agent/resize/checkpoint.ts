/** What a pod was given, on disk: a resize outlives a restart of the agent. */

import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ResourceRequirements } from '../../api/generated/types.ts';
import { type Paths, podDir } from '../paths.ts';
import type { Allocation } from './allocation.ts';
import type { Progress } from './resize-status.ts';

export interface Kept {
  readonly allocation: Allocation;
  /** What each container has in fact, by its id. */
  readonly actual: Readonly<Record<string, ResourceRequirements>>;
  readonly progress?: Progress;
}

export class Checkpoint {
  readonly #path: string;
  #written = '';

  constructor(paths: Paths, uid: string) {
    this.#path = join(podDir(paths, uid), 'allocation.json');
  }

  /** Undefined when the pod was never resized, or a crash left half of a file. */
  async read(): Promise<Kept | undefined> {
    const text = await readFile(this.#path, 'utf8').catch(() => '');
    try {
      return decode(JSON.parse(text));
    } catch {
      return undefined;
    }
  }

  async write(kept: Kept): Promise<void> {
    const text = JSON.stringify(kept);
    if (text === this.#written) return;
    await mkdir(dirname(this.#path), { recursive: true });
    await writeFile(`${this.#path}.new`, text, { mode: 0o600 });
    await rename(`${this.#path}.new`, this.#path);
    this.#written = text;
  }
}

function decode(value: unknown): Kept | undefined {
  const kept = value as Partial<Kept> | undefined;
  const isWhole =
    typeof kept?.allocation?.containers === 'object' && typeof kept.actual === 'object';
  return isWhole ? (kept as Kept) : undefined;
}

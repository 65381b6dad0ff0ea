/**
 * The directory of static pods' manifests: read at the start and after every change that the kernel tells of. A file
 * that cannot be used is told of once, and the pod of its last good version goes on.
 */

import { type FSWatcher, watch } from 'node:fs';
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pod } from '../../api/generated/types.ts';
import { keyOf } from '../../api/meta.ts';
import { describe, type Logger } from '../../log/log.ts';
import type { Clock } from '../../wait/clock.ts';

/** Events of one change come together; who writes a file takes a moment for it. */
const SETTLE_MS = 100;
/** A pod is far smaller; as in the kubelet. */
const MAX_MANIFEST_BYTES = 10 * 1024 * 1024;

export interface ManifestDirOptions {
  readonly directory: string;
  readonly nodeName: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called with all pods, by namespace/name, after each reading. */
  onPods(pods: ReadonlyMap<string, Pod>): void;
  /** A file cannot be used. */
  onBadFile(message: string): void;
}

interface Known {
  readonly pod: Pod | undefined;
  readonly text: string;
  readonly problem: string | undefined;
}

export class ManifestDir {
  readonly #options: ManifestDirOptions;
  #files: ReadonlyMap<string, Known> = new Map();
  #watcher: FSWatcher | undefined;
  #cancel: (() => void) | undefined;
  #reading: Promise<void>;
  #isClosed = false;

  constructor(options: ManifestDirOptions) {
    this.#options = options;
    this.#reading = this.#read();
  }

  /** Resolves when what is there now has been read. */
  get settled(): Promise<void> {
    return this.#reading;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancel?.();
    await this.#reading; // It may be about to watch.
    this.#watcher?.close();
  }

  #soon(): void {
    if (this.#isClosed) return;
    this.#cancel?.();
    this.#cancel = this.#options.clock.after(SETTLE_MS, () => {
      this.#reading = this.#reading.then(() => this.#read());
    });
  }

  /** Never rejects. */
  async #read(): Promise<void> {
    if (this.#isClosed) return;
    const { directory, log } = this.#options;
    try {
      await this.#watchDirectory();
      await this.#readFiles();
    } catch (error) {
      log.error('Could not read the manifests of static pods', { directory, error });
    }
  }

  /** Made again when somebody removed it: the kernel watches a directory, not its path. */
  async #watchDirectory(): Promise<void> {
    const { directory, log } = this.#options;
    const isThere = await stat(directory).then(
      () => true,
      () => false,
    );
    if (isThere && this.#watcher) return;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    this.#watcher?.close();
    this.#watcher = watch(directory, () => this.#soon());
    this.#watcher.on('error', (error) => {
      log.error('Cannot watch the manifests of static pods', { directory, error });
    });
  }

  async #readFiles(): Promise<void> {
    const { directory, onPods } = this.#options;
    const names = (await readdir(directory)).filter((name) => !name.startsWith('.')).sort();
    // Of two files with the same pod the one that was there first has it.
    const isNew = (name: string) => Number(!this.#files.get(join(directory, name))?.pod);
    names.sort((a, b) => isNew(a) - isNew(b));
    const files = new Map<string, Known>();
    const pods = new Map<string, Pod>();
    for (const name of names) {
      const path = join(directory, name);
      const known = await this.#readFile(path, pods);
      if (!known) continue;
      files.set(path, known);
      const key = known.pod && keyOf(known.pod.metadata);
      if (known.pod && key && !pods.has(key)) pods.set(key, known.pod);
    }
    this.#files = files;
    if (!this.#isClosed) onPods(pods);
  }

  /** Undefined for what is no file, or not there any more. */
  async #readFile(path: string, others: ReadonlyMap<string, Pod>): Promise<Known | undefined> {
    const before = this.#files.get(path);
    const { nodeName, clock } = this.#options;
    let text = '';
    try {
      const info = await stat(path);
      if (!info.isFile()) return undefined;
      if (info.size > MAX_MANIFEST_BYTES)
        throw new Error(`it is larger than ${MAX_MANIFEST_BYTES} bytes`);
      text = await readFile(path, 'utf8');
      if (before?.text === text && before.problem === undefined) return before;
      const { readManifest } = await import('./manifest.ts');
      const pod = readManifest(text, { path, nodeName, nowMs: clock.now() });
      const key = keyOf(pod.metadata);
      if (others.has(key)) throw new Error(`another file has pod ${key} already`);
      // The same pod again: only the file has been touched.
      const isSame = before?.pod?.metadata.uid === pod.metadata.uid;
      return { pod: isSame ? before?.pod : pod, text, problem: undefined };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      return this.#bad(path, { before, text, problem: describe(error) });
    }
  }

  #bad(
    path: string,
    now: {
      readonly before: Known | undefined;
      readonly text: string;
      readonly problem: string;
    },
  ): Known {
    const { before, text, problem } = now;
    const pod = before?.pod;
    if (before?.problem !== problem) {
      const rest = pod ? '; the pod of its last good version goes on' : '';
      const message = `Cannot use the manifest ${path}: ${problem}${rest}`;
      this.#options.log.error('Cannot use the manifest of a static pod', { path, problem });
      this.#options.onBadFile(message);
    }
    return { pod, text, problem };
  }
}

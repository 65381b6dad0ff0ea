/**
 * Notices of ended containers: `<runDir>/exits/<id>.json`, left there by shims, taken away once delivered. Those
 * that came while nobody listened are delivered first.
 */

import { type FSWatcher, watch } from 'node:fs';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../log/log.ts';
import { decodeExit } from './decode.ts';
import type { Exit } from './runtime.ts';
import { decodeJson } from './runtime-error.ts';

export class Exits {
  readonly #dir: string;
  readonly #log: Logger;
  readonly #listeners = new Set<(exit: Exit) => void>();
  readonly #busy = new Set<string>();
  #watcher: FSWatcher | undefined;

  constructor(options: { readonly runDir: string; readonly log: Logger }) {
    this.#dir = join(options.runDir, 'exits');
    this.#log = options.log;
  }

  async start(): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    this.#watcher = watch(this.#dir, (_, name) => {
      if (name === null) this.#scan();
      else this.#take(name);
    });
    this.#watcher.on('error', (error) => this.#log.error('Could not watch exits', { error }));
  }

  /** Adds a listener; what lies there is delivered to it soon. */
  add(listener: (exit: Exit) => void): () => void {
    this.#listeners.add(listener);
    this.#scan();
    return () => void this.#listeners.delete(listener);
  }

  close(): void {
    this.#watcher?.close();
    this.#listeners.clear();
  }

  #scan(): void {
    readdir(this.#dir).then(
      (names) => {
        for (const name of names) this.#take(name);
      },
      (error: unknown) => this.#log.error('Could not list exits', { error }),
    );
  }

  /** Without a listener a notice stays for the next one. */
  #take(name: string): void {
    const isNotice = name.endsWith('.json') && !name.startsWith('.');
    if (!isNotice || this.#listeners.size === 0 || this.#busy.has(name)) return;
    this.#busy.add(name);
    this.#deliver(name)
      .catch((error: unknown) => this.#log.error('Could not read exit', { name, error }))
      .finally(() => this.#busy.delete(name));
  }

  async #deliver(name: string): Promise<void> {
    const path = join(this.#dir, name);
    const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined; // The event of our own removal.
      throw error;
    });
    if (text === undefined || this.#listeners.size === 0) return;
    const exit = decodeExit(decodeJson(text));
    for (const listener of this.#listeners) listener(exit);
    await rm(path, { force: true });
  }
}

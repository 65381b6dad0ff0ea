/** Whole-file JSON state: read once at start, replaced by rename, so that a crash leaves the old or the new text. */

import { open, readFile, rename } from 'node:fs/promises';

/** It cannot be read or does not hold JSON; it is never deleted or overwritten on its own. */
class StateFileError extends Error {}

/** The file's JSON value; undefined when there is no file. Throws an error that names the file when it is damaged. */
export async function readStateFile(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new StateFileError(`cannot read ${path}`, { cause: error });
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new StateFileError(`${path} is damaged: not JSON (${text.length} characters)`, {
      cause: error,
    });
  }
}

/**
 * Writes a value that changes often to one file. Writes asked for while one is under way become one: each caller
 * is answered once a write that began after its call has ended.
 */
export class StateFile {
  readonly #path: string;
  readonly #isDurable: boolean;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  /** With `isDurable` the text is synced to the disk before the rename. */
  constructor(path: string, options: { readonly isDurable: boolean }) {
    this.#path = path;
    this.#isDurable = options.isDurable;
  }

  /** Saves what `snapshot` returns at the moment the write begins. */
  save(snapshot: () => unknown): Promise<void> {
    if (this.#running === undefined) {
      this.#running = this.#write(snapshot());
      return this.#running;
    }
    this.#next ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        this.#running = this.#write(snapshot());
        return this.#running;
      });
    return this.#next;
  }

  async #write(value: unknown): Promise<void> {
    try {
      await writeState(this.#path, value, this.#isDurable);
    } finally {
      this.#running = undefined;
    }
  }
}

async function writeState(path: string, value: unknown, isDurable: boolean): Promise<void> {
  const temporary = `${path}.new`;
  const file = await open(temporary, 'w', 0o600);
  try {
    await file.writeFile(`${JSON.stringify(value)}\n`);
    if (isDurable) await file.datasync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}

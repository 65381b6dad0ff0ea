/** Tells one life of the run directory from the next: with it go all processes, as at a reboot. */

import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The id in `<runDir>/id`, made when there is none. */
export async function runIdOf(runDir: string): Promise<string> {
  const path = join(runDir, 'id');
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
  const id = randomUUID();
  await mkdir(runDir, { recursive: true, mode: 0o700 });
  await writeFile(`${path}.new`, `${id}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
  return id;
}

/** A directory as a tar stream, for a reader that takes archives: an OCI layout on its way to the agent. */

import { createReadStream, readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { pack } from 'tar-stream';

/** Its regular files, links followed; an error of reading one ends the stream with that error. */
export function archiveOf(directory: string): Readable {
  const archive = pack();
  fill(archive, directory).catch((error: Error) => archive.destroy(error));
  return Readable.from(archive);
}

async function fill(archive: ReturnType<typeof pack>, directory: string): Promise<void> {
  for (const path of filesUnder(directory)) {
    const { size, mode } = statSync(path);
    const entry = archive.entry({ name: relative(directory, path), size, mode: mode & 0o777 });
    await pipeline(createReadStream(path), entry);
  }
  archive.finalize();
}

function filesUnder(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((name) => join(directory, name))
    .filter((path) => statSync(path).isFile())
    .sort();
}

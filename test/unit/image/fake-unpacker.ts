/** Stands for the helper where only unpacking counts: writes plain files of a tar, with no care for safety. */

import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { extract } from 'tar-stream';
import type { Runtime } from '../../../pkg/runtime/runtime.ts';

/** A runtime that can unpack and remove, and counts what it unpacked. */
export function fakeUnpacker(): Runtime & { unpacked: number } {
  const fake = {
    unpacked: 0,
    async unpack({ directory, source }: { directory: string; source: NodeJS.ReadableStream }) {
      fake.unpacked += 1;
      const tar = extract();
      source.on('error', (error) => tar.destroy(error));
      source.pipe(tar);
      for await (const entry of tar) {
        const path = join(directory, entry.header.name);
        await mkdir(dirname(path), { recursive: true });
        if (entry.header.type === 'file') {
          await writeFile(path, await buffer(Readable.from(entry)), { mode: 0o644 });
        } else {
          if (entry.header.type === 'directory') await mkdir(path, { recursive: true });
          entry.resume();
        }
      }
    },
    removeTree: (path: string) => rm(path, { recursive: true, force: true }),
  };
  return fake as unknown as Runtime & { unpacked: number };
}

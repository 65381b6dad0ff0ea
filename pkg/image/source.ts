/** Where an import reads from: the files of an archive (laid down first, as they come in any order) or of a directory. */

import { constants } from 'node:fs';
import { lstat, open, readFile, stat } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar-stream';
import type { ContentStore, Draft } from './content.ts';
import { decompress } from './decompress.ts';
import { ImageError } from './image-store.ts';
import { MAX_ARCHIVE_BYTES, MAX_ARCHIVE_ENTRIES } from './limits.ts';
import { explainNoSpace } from './no-space.ts';

/** Files by name; each answers as a draft, hashed. */
export interface Source {
  /** A file's content, or undefined when there is none. Throws ImageError Corrupt when it is larger than `maxBytes`. */
  read(name: string, maxBytes: number): Promise<Buffer | undefined>;
  /** A file as a draft of the content store; undefined when there is none. */
  draft(name: string): Promise<Draft | undefined>;
  /** Drops what was laid down and not kept. */
  close(): Promise<void>;
}

/** Lays an archive's files down as drafts. */
export async function openArchive(
  stream: Readable,
  content: ContentStore,
  signal?: AbortSignal,
): Promise<Source> {
  const drafts = new Map<string, Draft>();
  const links = new Map<string, string>();
  const close = async () => {
    await Promise.all([...drafts.values()].map((draft) => content.discard(draft)));
  };
  try {
    await layDown(stream, { drafts, links, content }, signal);
  } catch (error) {
    await close();
    throw readable(error);
  }
  const find = (name: string) => drafts.get(links.get(name) ?? name);
  return {
    async read(name, maxBytes) {
      const draft = find(name);
      return draft === undefined ? undefined : readBounded(draft, maxBytes, name);
    },
    draft: async (name) => find(name),
    close,
  };
}

/** Reads an OCI layout directory; links in it are not followed. */
export async function openLayout(directory: string, content: ContentStore): Promise<Source> {
  const found = await stat(join(directory, 'index.json')).catch(() => undefined);
  if (!found?.isFile()) {
    throw new ImageError('NotFound', `${directory} is not an OCI layout: it has no index.json`);
  }
  const drafts: Draft[] = [];
  const stream = async (name: string): Promise<Readable | undefined> => {
    const file = await open(join(directory, name), constants.O_RDONLY | constants.O_NOFOLLOW).catch(
      () => undefined,
    );
    return file?.createReadStream();
  };
  return {
    async read(name, maxBytes) {
      const path = join(directory, name);
      const file = await lstat(path).catch(() => undefined);
      return file?.isFile() ? readBounded({ path, size: file.size }, maxBytes, name) : undefined;
    },
    async draft(name) {
      const source = await stream(name);
      if (source === undefined) return undefined;
      const draft = await content.draft(source, MAX_ARCHIVE_BYTES);
      drafts.push(draft);
      return draft;
    },
    async close() {
      await Promise.all(drafts.map((draft) => content.discard(draft)));
    },
  };
}

async function layDown(
  stream: Readable,
  to: {
    readonly drafts: Map<string, Draft>;
    readonly links: Map<string, string>;
    readonly content: ContentStore;
  },
  signal?: AbortSignal,
): Promise<void> {
  const tar = extract();
  const plain = Readable.from(decompress(stream, 'the archive'), { objectMode: false });
  const fed = pipeline(plain, tar, signal === undefined ? {} : { signal });
  fed.catch(() => undefined);
  let left = MAX_ARCHIVE_BYTES;
  let entries = 0;
  for await (const entry of tar) {
    entries += 1;
    if (entries > MAX_ARCHIVE_ENTRIES) throw new ImageError('Corrupt', 'too many files');
    const { name: raw, type, linkname } = entry.header;
    const name = normalize(raw);
    if ((type === 'symlink' || type === 'link') && linkname) {
      to.links.set(name, type === 'link' ? normalize(linkname) : join(dirname(name), linkname));
    }
    if (type === 'file') {
      const draft = await to.content.draft(entry as AsyncIterable<Uint8Array>, left);
      left -= draft.size;
      to.drafts.set(name, draft);
    } else {
      entry.resume();
    }
  }
  await fed;
  if (entries === 0) throw new ImageError('Corrupt', 'the archive is empty or not a tar archive');
}

async function readBounded(
  file: { readonly path: string; readonly size: number },
  maxBytes: number,
  name: string,
): Promise<Buffer> {
  if (file.size > maxBytes) {
    throw new ImageError('Corrupt', `${name} is larger than ${maxBytes} bytes`);
  }
  return readFile(file.path);
}

/** Errors of the tar reader say what they mean only to someone who knows tar. */
function readable(error: unknown): unknown {
  const known = explainNoSpace(error, 'the archive');
  if (known instanceof ImageError) return known;
  if (error instanceof Error && error.name === 'AbortError') return error;
  return new ImageError('Corrupt', 'the archive is not a whole tar archive', error);
}

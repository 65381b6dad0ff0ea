/**
 * Reads a file of a container's root without mounting it: its layers are searched as overlayfs would, links are
 * followed inside that root only, and each step goes through an open directory, so that a container that changes
 * its files meanwhile cannot lead the reader out of it.
 */

import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
  readlinkSync,
  type Stats,
} from 'node:fs';

const MAX_LINKS = 40;
const MAX_BYTES = 1024 * 1024;
const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
/** Without O_NONBLOCK a named pipe would hold the reader for ever. */
const FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

type Entry =
  | { readonly kind: 'directory'; readonly fds: readonly number[] }
  | { readonly kind: 'link'; readonly target: string }
  | { readonly kind: 'file'; readonly fd: number };

/** The file's text; undefined when there is none, or it is no regular file of at most 1 MiB. `roots` topmost first. */
export function readRootedFile(roots: readonly string[], path: string): string | undefined {
  const opened: number[] = [];
  try {
    return new Walk(roots, opened).read(path);
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

class Walk {
  readonly #opened: number[];
  /** Open directories from the root down; each merges several layers. */
  #stack: (readonly number[])[];
  readonly #root: readonly number[];

  constructor(roots: readonly string[], opened: number[]) {
    this.#opened = opened;
    this.#root = roots.flatMap(
      (root) => this.#open(root, constants.O_RDONLY | constants.O_DIRECTORY) ?? [],
    );
    this.#stack = [this.#root];
  }

  read(path: string): string | undefined {
    let rest = parts(path);
    let links = 0;
    for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
      const found = this.#step(name);
      if (found === undefined) return undefined;
      if (found.kind === 'file') return rest.length > 0 ? undefined : readSmall(found.fd);
      if (found.kind === 'directory') continue;
      links += 1;
      if (links > MAX_LINKS) return undefined;
      rest = [...this.#follow(found.target), ...rest];
    }
    return undefined;
  }

  /** The parts of a link's target; an absolute one begins at the root of the container. */
  #follow(target: string): string[] {
    if (target.startsWith('/')) this.#stack = [this.#root];
    return parts(target);
  }

  #step(name: string): Entry | undefined {
    if (name === '..') {
      if (this.#stack.length > 1) this.#stack.pop();
      return { kind: 'directory', fds: this.#stack.at(-1) ?? [] };
    }
    const found = this.#lookUp(this.#stack.at(-1) ?? [], name);
    if (found?.kind === 'directory') this.#stack.push(found.fds);
    return found;
  }

  /** The topmost entry of this name; of directories, all down to the first that is none. */
  #lookUp(layers: readonly number[], name: string): Entry | undefined {
    const directories: number[] = [];
    for (const layer of layers) {
      const path = `/proc/self/fd/${layer}/${name}`;
      const info = lstat(path);
      if (info === undefined) continue;
      if (!info.isDirectory()) {
        if (directories.length > 0) break;
        return this.#leaf(path, info);
      }
      directories.push(...(this.#open(path, DIRECTORY) ?? []));
    }
    return directories.length === 0 ? undefined : { kind: 'directory', fds: directories };
  }

  /** A whiteout is a character device and no regular file: it ends the search like any other special file. */
  #leaf(path: string, info: Stats): Entry | undefined {
    if (info.isSymbolicLink()) return { kind: 'link', target: readlinkSync(path) };
    if (!info.isFile()) return undefined;
    const [fd] = this.#open(path, FILE) ?? [];
    return fd === undefined ? undefined : { kind: 'file', fd };
  }

  #open(path: string, flags: number): readonly [number] | undefined {
    try {
      const fd = openSync(path, flags);
      this.#opened.push(fd);
      return [fd];
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }
}

function parts(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

function lstat(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function readSmall(fd: number): string | undefined {
  const info = fstatSync(fd);
  return info.isFile() && info.size <= MAX_BYTES ? readFileSync(fd, 'utf8') : undefined;
}

function isMissing(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO', 'EINVAL'].includes(code);
}

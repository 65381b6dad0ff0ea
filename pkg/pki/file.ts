/** Files with keys and certificates: mode 600, replaced as a whole, never half written. */

import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';

const PRIVATE_FILE_MODE = 0o600;
const PRIVATE_DIR_MODE = 0o700;

/** Writes a file that only its owner can read; after a crash it is either the old one or the new one. */
export function writePrivateFile(path: string, data: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: PRIVATE_DIR_MODE });
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    const fd = openSync(temporary, 'wx', PRIVATE_FILE_MODE);
    try {
      writeSync(fd, data);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** The text of a key file, or undefined when it does not exist. Throws when others than its owner may read it. */
export function readPrivateFile(path: string): string | undefined {
  const text = readIfPresent(path);
  if (text === undefined) return undefined;
  const mode = statSync(path).mode & 0o777;
  if ((mode & 0o077) === 0) return text;
  throw new Error(
    `${path} has mode ${mode.toString(8)}, so others could use the key: chmod 600 ${path}, and replace it if they may have`,
  );
}

/** The text of a file, or undefined when it does not exist. */
export function readIfPresent(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT') return undefined;
    // Node does not say which.
    if (code === 'EISDIR')
      throw new Error(`${path} is a directory, not a file: remove it`, { cause: error });
    throw error;
  }
}

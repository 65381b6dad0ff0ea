/** One blob from a registry into a file: checked, and continued where a cut transfer stopped. */

import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { writeAll } from '../content.ts';
import { ImageError } from '../image-store.ts';
import { STALL_MIN_BYTES } from '../limits.ts';
import type { Descriptor } from '../manifest.ts';
import { TransferError } from './http.ts';
import type { RegistrySession } from './session.ts';

/** Appends to the file, attempt after attempt, until all is there; returns the digest. An attempt that brought some does not count. */
export async function download(
  session: RegistrySession,
  to: {
    readonly blob: Descriptor;
    readonly path: string;
    readonly report: (doneBytes: number) => void;
  },
  signal: AbortSignal,
): Promise<string> {
  const { blob, path, report } = to;
  let hash = createHash('sha256');
  let done = 0;
  const file = await open(path, 'wx', 0o600);
  const attempt = async () => {
    const headers: Record<string, string> = done > 0 ? { range: `bytes=${done}-` } : {};
    const response = await session.get(`blobs/${blob.digest}`, headers, signal);
    if (done > 0 && response.status !== 206) {
      hash = createHash('sha256');
      done = 0;
    }
    await readTransfer(async () => {
      for await (const chunk of response.body) {
        if (done + chunk.length > blob.size) {
          throw new ImageError(
            'Corrupt',
            `${session.host} sends more of ${blob.digest} than it has`,
          );
        }
        await writeAll(file, chunk, done);
        hash.update(chunk);
        done += chunk.length;
        report(done);
      }
      if (done < blob.size) throw new TransferError(`${session.host} stopped before the end`);
    }, session.host);
  };
  try {
    while (done < blob.size || blob.size === 0) {
      const before = done;
      await session.retry(async () => {
        try {
          await attempt();
        } catch (error) {
          if (!(error instanceof TransferError) || done - before < STALL_MIN_BYTES) throw error;
        }
      }, signal);
      if (blob.size === 0) break;
    }
    await file.datasync();
  } finally {
    await file.close();
  }
  return `sha256:${hash.digest('hex')}`;
}

/** Runs a read of a body; a connection cut meanwhile is a TransferError. */
export async function readTransfer<T>(read: () => Promise<T>, host: string): Promise<T> {
  try {
    return await read();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (/^(ECONN|EPIPE|ERR_STREAM_PREMATURE|HPE_|ETIMEDOUT)/.test(code)) {
      throw new TransferError(`the transfer from ${host} was cut`, { cause: error });
    }
    throw error;
  }
}

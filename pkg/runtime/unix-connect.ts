/** Connecting to a unix socket whose path may be longer than the kernel's 107 bytes. */

import { closeSync, constants, openSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { basename, dirname } from 'node:path';

const PATH_MAX_BYTES = 107;

/** Resolves once connected. Rejects with the system's error, or the signal's reason. */
export function connectUnix(path: string, signal?: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const { short, release } = shorten(path);
    const socket = connect({ path: short, allowHalfOpen: true });
    const settle = () => {
      release();
      socket.off('error', onError);
      signal?.removeEventListener('abort', onAbort);
    };
    const onError = (error: Error) => {
      settle();
      reject(error);
    };
    const onAbort = () => {
      settle();
      socket.destroy();
      reject(signal?.reason);
    };
    socket.once('error', onError);
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.once('connect', () => {
      settle();
      resolve(socket);
    });
  });
}

/** A long path goes through an open directory: /proc/self/fd/N/name. */
function shorten(path: string): { short: string; release: () => void } {
  if (Buffer.byteLength(path) <= PATH_MAX_BYTES) return { short: path, release: () => undefined };
  const fd = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  return { short: `/proc/self/fd/${fd}/${basename(path)}`, release: () => closeSync(fd) };
}

/** GET /logs/: files and directories of the host's /var/log, as the kubelet shows them. */

import { createReadStream } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { join, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ApiError, type NodeRequest } from '../streams/request.ts';

const ROOT = '/var/log';

/** A link must not lead out of the directory: containers may write below it. */
export async function serveHostLogs(
  { segments, query }: NodeRequest,
  response: ServerResponse,
  root = ROOT,
): Promise<void> {
  if (query.has('query'))
    throw new ApiError(400, 'queries of the logs of services are not supported by this node');
  const top = await existing(root);
  const path = await existing(join(root, ...segments.slice(1)));
  if (path !== top && !path.startsWith(`${top}${sep}`))
    throw new ApiError(403, `${segments.slice(1).join('/')} leads out of ${root}`);
  const found = await stat(path);
  if (found.isDirectory()) {
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
    response.end(listing(await readdir(path, { withFileTypes: true })));
    return;
  }
  if (!found.isFile()) throw new ApiError(403, `${path} is not a file`);
  response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
  // The client may leave at any time.
  await pipeline(createReadStream(path), response).catch(() => response.destroy());
}

async function existing(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    throw new ApiError(404, '404 page not found');
  }
}

function listing(entries: readonly { readonly name: string; isDirectory(): boolean }[]): string {
  const names = entries.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name));
  const lines = names
    .toSorted()
    .map((name) => `<a href="${encodeURI(name)}">${escaped(name)}</a>\n`)
    .join('');
  return `<!doctype html>\n<meta name="viewport" content="width=device-width">\n<pre>\n${lines}</pre>\n`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

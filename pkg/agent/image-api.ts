/**
 * The images of this node for commands on the same host: HTTP on a Unix socket that only root may open. The agent owns
 * the image store, so `mini image …` asks it. Sync with cmd/image.ts.
 */

import { chmod, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { type Image, ImageError, type ImageStore } from '../image/image-store.ts';
import { describe, type Logger } from '../log/log.ts';

export interface ImageApi {
  close(): Promise<void>;
}

const STATUS: Readonly<Record<ImageError['code'], number>> = {
  NotFound: 404,
  Unauthorized: 401,
  Unreachable: 502,
  Corrupt: 400,
  Unsupported: 400,
  NoSpace: 507,
  InvalidReference: 400,
};

interface Exchange {
  readonly images: ImageStore;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
  readonly signal: AbortSignal;
}

type Handler = (exchange: Exchange) => Promise<void>;

const ROUTES: Readonly<Record<string, Handler>> = {
  'GET /images': async ({ images, response }) => reply(response, images.list().map(summary)),
  'POST /images/import': async ({ images, request, response, query, signal }) => {
    const tag = query.get('tag');
    const imported = await images.import(request, tag ? { tag } : {}, signal);
    reply(response, imported.map(summary));
  },
  'GET /images/export': async ({ images, response, query, signal }) => {
    const references = query.getAll('reference');
    for (const reference of references) {
      if (!images.get(reference))
        throw new ImageError('NotFound', `image ${reference} is not on this node`);
    }
    response.writeHead(200, { 'content-type': 'application/x-tar' });
    await pipeline(images.export(references, signal), response);
  },
  'POST /images/pull': async ({ images, response, query, signal }) => {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    // The head is out, so a failure is the last line.
    const say = (line: object) => response.write(`${JSON.stringify(line)}\n`);
    try {
      const pulled = await images.pull(
        query.get('reference') ?? '',
        { onProgress: (progress) => say({ progress }) },
        signal,
      );
      say({ image: summary(pulled) });
    } catch (error) {
      say({ error: describe(error) });
    }
    response.end();
  },
  'POST /images/prune': async ({ images, response }) => {
    const removed: Image[] = [];
    for (const image of images.list()) {
      // A container may have come since.
      if (image.isPinned || images.isInUse(image.id)) continue;
      await images.remove(image.id);
      removed.push(image);
    }
    reply(response, removed.map(summary));
  },
  'DELETE /images': async ({ images, response, query }) => {
    await images.remove(query.get('reference') ?? '');
    reply(response, {});
  },
};

/** Listens on `path`, replacing what an agent before left there. */
export async function serveImages(options: {
  readonly path: string;
  readonly images: ImageStore;
  readonly log: Logger;
}): Promise<ImageApi> {
  const { path, images, log } = options;
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://agent');
    const aborted = new AbortController();
    response.once('close', () => aborted.abort(new Error('the client went away')));
    const handle = ROUTES[`${request.method} ${url.pathname}`] ?? unknownPath;
    handle({ images, request, response, query: url.searchParams, signal: aborted.signal }).catch(
      (error: unknown) => {
        log.debug('Image request failed', { path: url.pathname, error });
        refuse(response, error);
      },
    );
  });
  server.requestTimeout = 0; // A large archive takes what it takes.
  await rm(path, { force: true, recursive: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => resolve());
  });
  await chmod(path, 0o600);
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function unknownPath(): Promise<void> {
  return Promise.reject(
    new ImageError('NotFound', 'the agent does not know this request: is it of another version?'),
  );
}

function summary({ id, tags, digests, sizeBytes, createdAt, isPinned }: Image) {
  return { id, tags, digests, sizeBytes, createdAt, isPinned };
}

function reply(response: ServerResponse, body: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

function refuse(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.writeHead(error instanceof ImageError ? STATUS[error.code] : 500, {
    'content-type': 'application/json',
  });
  response.end(JSON.stringify({ error: describe(error) }));
}

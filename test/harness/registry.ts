/** A real registry (Debian's docker-registry) on loopback, filled by plain HTTP, and a proxy that makes trouble. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type BuiltImage, digest } from './images.ts';

export interface TestRegistry {
  /** `127.0.0.1:<port>`. */
  readonly host: string;
  close(): Promise<void>;
}

/** `secret`, as htpasswd writes it. */
const SECRET_HASH = '$2b$04$YA7hAW./Z67sG75pKSBppOScVmc/lI7.C.ReDaX7LuBYseB1FfJwm';
const PORT_ATTEMPTS = 3;
const START_ATTEMPTS = 200;
const START_PAUSE_MS = 50;

/** Starts a registry; with `isGuarded` it wants user `alice`, password `secret`. */
export async function startRegistry(options: { isGuarded?: boolean } = {}): Promise<TestRegistry> {
  const directory = await mkdtemp(join(tmpdir(), 'mini-registry-'));
  for (let attempt = 1; ; attempt += 1) {
    const registry = await tryRegistry(directory, options.isGuarded === true);
    if (registry !== undefined) return registry;
    if (attempt < PORT_ATTEMPTS) continue;
    await rm(directory, { recursive: true, force: true });
    throw new Error('docker-registry (Debian package docker-registry) did not start');
  }
}

/** Undefined when it ends or does not answer: another test may have been quicker to take the free port. */
async function tryRegistry(
  directory: string,
  isGuarded: boolean,
): Promise<TestRegistry | undefined> {
  const host = `127.0.0.1:${await freePort()}`;
  await writeFile(join(directory, 'users'), `alice:${SECRET_HASH}\n`);
  const config = {
    version: 0.1,
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(directory, 'data') } },
    http: { addr: host },
    ...(isGuarded ? { auth: { htpasswd: { realm: 'test', path: join(directory, 'users') } } } : {}),
  };
  // JSON is YAML.
  await writeFile(join(directory, 'config.yml'), JSON.stringify(config));
  const child = spawn('docker-registry', ['serve', join(directory, 'config.yml')], {
    stdio: 'ignore',
  });
  const failed = once(child, 'error').then(([error]) => Promise.reject(error));
  failed.catch(() => undefined);
  await Promise.race([once(child, 'spawn'), failed]);
  const end = async () => {
    const exited = once(child, 'exit');
    if (child.exitCode === null && child.kill('SIGKILL')) await exited;
  };
  const close = async () => {
    await end();
    await rm(directory, { recursive: true, force: true });
  };
  for (let attempt = 0; attempt < START_ATTEMPTS && child.exitCode === null; attempt += 1) {
    const answer = await fetch(`http://${host}/v2/`).catch(() => undefined);
    if (answer !== undefined && child.exitCode === null) return { host, close };
    await delay(START_PAUSE_MS);
  }
  await end();
  return undefined;
}

/** Uploads an image as `<host>/<repository>:<tag>`. */
export async function push(
  image: BuiltImage,
  to: { readonly host: string; readonly repository: string; readonly tag: string },
  authorization?: string,
): Promise<void> {
  const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
  const base = `http://${to.host}/v2/${to.repository}`;
  for (const bytes of [image.config, ...image.layers.map(({ packed }) => packed)]) {
    const begun = await fetch(`${base}/blobs/uploads/`, { method: 'POST', headers });
    await begun.arrayBuffer();
    const location = new URL(begun.headers.get('location') ?? '', base);
    location.searchParams.set('digest', digest(bytes));
    await put(location.href, { bytes, type: 'application/octet-stream', headers });
  }
  const type = 'application/vnd.oci.image.manifest.v1+json';
  await put(`${base}/manifests/${digest(image.manifest)}`, {
    bytes: image.manifest,
    type,
    headers,
  });
  await put(`${base}/manifests/${to.tag}`, { bytes: image.manifest, type, headers });
}

/** Uploads any manifest or index. */
export async function pushManifest(
  bytes: Buffer,
  to: {
    readonly host: string;
    readonly repository: string;
    readonly tag: string;
    readonly type: string;
  },
): Promise<void> {
  const url = `http://${to.host}/v2/${to.repository}/manifests/${to.tag}`;
  await put(url, { bytes, type: to.type, headers: {} });
}

export interface Proxy extends TestRegistry {
  readonly requests: readonly string[];
}

export type Interfere = (request: IncomingMessage, response: ServerResponse) => boolean;

/** Passes requests on to a registry, unless `interfere` answers and returns true. With a certificate it speaks TLS. */
export async function startProxy(
  target: string,
  interfere: Interfere,
  tls?: { readonly key: Buffer; readonly cert: Buffer },
): Promise<Proxy> {
  const requests: string[] = [];
  const pass = (incoming: IncomingMessage, answer: ServerResponse) => {
    requests.push(`${incoming.method} ${incoming.url}`);
    if (interfere(incoming, answer)) return;
    const [hostname, port] = target.split(':');
    const passed = request(
      {
        hostname,
        port,
        path: incoming.url ?? '/',
        method: incoming.method ?? 'GET',
        headers: incoming.headers,
      },
      (response) => {
        answer.writeHead(response.statusCode ?? 500, response.headers);
        response.pipe(answer);
      },
    );
    passed.on('error', () => answer.destroy());
    incoming.pipe(passed);
  };
  const server = tls === undefined ? createServer(pass) : createTlsServer(tls, pass);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    host: `127.0.0.1:${address.port}`,
    requests,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function put(
  url: string,
  what: {
    readonly bytes: Buffer;
    readonly type: string;
    readonly headers: Readonly<Record<string, string>>;
  },
): Promise<void> {
  const answer = await fetch(url, {
    method: 'PUT',
    headers: { ...what.headers, 'content-type': what.type },
    body: new Uint8Array(what.bytes),
  });
  const text = await answer.text();
  if (answer.status !== 201) throw new Error(`PUT ${url}: ${answer.status} ${text}`);
}

async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

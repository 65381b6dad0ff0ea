/** registries.yaml as k3s has it: mirrors with endpoints and rewrites, and credentials and TLS by host. */

import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import type { Credentials } from '../image-store.ts';
import type { Reference } from '../reference.ts';

export interface TlsFiles {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly isInsecure: boolean;
}

/** One place to ask for a repository, with the path it has there. */
export interface Endpoint {
  /** `https://host[:port]`. */
  readonly origin: string;
  /** Before `<repository>/manifests/…`: `/v2`, or what a mirror's address says. */
  readonly prefix: string;
  readonly repository: string;
  /** The registry meant, when this is a mirror of it. */
  readonly mirrorOf?: string;
  readonly credentials?: Credentials;
  readonly tls?: TlsFiles;
}

interface Mirror {
  readonly endpoints: readonly string[];
  readonly rewrites: readonly { readonly pattern: RegExp; readonly replacement: string }[];
}

interface HostConfig {
  readonly credentials?: Credentials;
  readonly tls?: TlsFiles;
}

export interface Registries {
  readonly mirrors: ReadonlyMap<string, Mirror>;
  readonly configs: ReadonlyMap<string, HostConfig>;
}

type Fields = Readonly<Record<string, unknown>>;

const DOCKER_HUB = 'registry-1.docker.io';

/** Reads the file and the certificates it names. No path, no file: no mirrors. Throws an error that names what is wrong. */
export async function loadRegistries(path: string | undefined): Promise<Registries> {
  const text = path === undefined ? undefined : await readIfThere(path);
  if (path === undefined || text === undefined) return { mirrors: new Map(), configs: new Map() };
  let file: Fields;
  try {
    file = fields(parse(text) ?? {}, 'the file');
  } catch (error) {
    throw new Error(`${path} is not valid: ${messageOf(error)}`, { cause: error });
  }
  try {
    const mirrors = Object.entries(fields(file['mirrors'] ?? {}, 'mirrors'));
    const configs = Object.entries(fields(file['configs'] ?? {}, 'configs'));
    return {
      mirrors: new Map(mirrors.map(([host, value]) => [host, decodeMirror(value, host)])),
      configs: new Map(
        await Promise.all(
          configs.map(async ([host, value]) => [host, await decodeConfig(value, host)] as const),
        ),
      ),
    };
  } catch (error) {
    throw new Error(`${path} is not valid: ${messageOf(error)}`, { cause: error });
  }
}

/** Where to ask for an image: mirrors in order, then its own registry. */
export function endpointsOf(registries: Registries, reference: Reference): readonly Endpoint[] {
  const { registry, repository } = reference;
  const mirror = registries.mirrors.get(registry) ?? registries.mirrors.get('*');
  const host = registry === 'docker.io' ? DOCKER_HUB : registry;
  const own = `${isLoopback(host) ? 'http' : 'https'}://${host}`;
  const mirrored = (mirror?.endpoints ?? []).map((address) =>
    endpoint(registries, { address, repository: rewrite(mirror, repository), mirrorOf: registry }),
  );
  const last = endpoint(registries, { address: own, repository, mirrorOf: undefined }, registry);
  return mirrored.some(({ origin }) => new URL(origin).host === host)
    ? mirrored
    : [...mirrored, last];
}

/** Hosts that are spoken to in plain HTTP unless an endpoint says otherwise. */
function isLoopback(host: string): boolean {
  return /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/.test(host);
}

function endpoint(
  registries: Registries,
  target: {
    readonly address: string;
    readonly repository: string;
    readonly mirrorOf: string | undefined;
  },
  alias?: string,
): Endpoint {
  const url = new URL(
    target.address.includes('://') ? target.address : `https://${target.address}`,
  );
  const config = registries.configs.get(url.host) ?? registries.configs.get(alias ?? url.host);
  const path = url.pathname.replace(/\/+$/, '');
  const isSelf = target.mirrorOf === undefined || url.host === target.mirrorOf;
  return {
    origin: url.origin,
    prefix: path === '' ? '/v2' : path,
    repository: target.repository,
    ...(isSelf || target.mirrorOf === undefined ? {} : { mirrorOf: target.mirrorOf }),
    ...(config?.credentials === undefined ? {} : { credentials: config.credentials }),
    ...(config?.tls === undefined ? {} : { tls: config.tls }),
  };
}

function rewrite(mirror: Mirror | undefined, repository: string): string {
  const rule = mirror?.rewrites.find(({ pattern }) => pattern.test(repository));
  return rule === undefined ? repository : repository.replace(rule.pattern, rule.replacement);
}

function decodeMirror(value: unknown, host: string): Mirror {
  const mirror = fields(value ?? {}, `mirrors of ${host}`);
  const listed = mirror['endpoint'] ?? mirror['endpoints'] ?? [];
  if (!Array.isArray(listed)) throw new Error(`the endpoint of mirror ${host} is not a list`);
  const endpoints = listed.map(String);
  for (const address of endpoints) {
    const full = address.includes('://') ? address : `https://${address}`;
    if (!URL.canParse(full)) throw new Error(`mirror ${host}: "${address}" is not an address`);
  }
  const rules = Object.entries(fields(mirror['rewrite'] ?? {}, `rewrite of ${host}`));
  return {
    endpoints,
    rewrites: rules.map(([pattern, replacement]) => ({
      pattern: new RegExp(pattern),
      // `${1}` is Go's way to write what JavaScript writes `$1`.
      replacement: String(replacement).replaceAll(/\$\{(\d+)\}/g, '$$$1'),
    })),
  };
}

async function decodeConfig(value: unknown, host: string): Promise<HostConfig> {
  const config = fields(value ?? {}, `configs of ${host}`);
  const auth = fields(config['auth'] ?? {}, `auth of ${host}`);
  const tls = fields(config['tls'] ?? {}, `tls of ${host}`);
  const credentials = decodeAuth(auth, host);
  return {
    ...(credentials === undefined ? {} : { credentials }),
    ...(Object.keys(tls).length === 0 ? {} : { tls: await decodeTls(tls) }),
  };
}

function decodeAuth(auth: Fields, host: string): Credentials | undefined {
  const token = text(auth['token'] ?? auth['registry_token']);
  if (token !== undefined) return { registryToken: token };
  const identityToken = text(auth['identity_token'] ?? auth['identitytoken']);
  if (identityToken !== undefined) return { identityToken };
  const basic = text(auth['auth']);
  const decoded = basic === undefined ? undefined : Buffer.from(basic, 'base64').toString('utf8');
  if (decoded !== undefined && !decoded.includes(':')) {
    throw new Error(`auth of ${host} is not base64 of user:password`);
  }
  const username = text(auth['username']) ?? decoded?.slice(0, decoded.indexOf(':'));
  const password = text(auth['password']) ?? decoded?.slice(decoded.indexOf(':') + 1);
  return username === undefined || password === undefined ? undefined : { username, password };
}

async function decodeTls(tls: Fields): Promise<TlsFiles> {
  const [ca, cert, key] = await Promise.all(
    ['ca_file', 'cert_file', 'key_file'].map(async (name) => {
      const path = text(tls[name]);
      return path === undefined ? undefined : readFile(path);
    }),
  );
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    isInsecure: tls['insecure_skip_verify'] === true,
  };
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new Error(`cannot read ${path}`, { cause: error });
  }
}

function fields(value: unknown, what: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw new Error(`${what} is not a mapping`);
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

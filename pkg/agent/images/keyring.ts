/** The logins of a pod's pull secrets that fit an image, the most specific first, as the kubelet chooses them. */

import type { Secret } from '../../api/generated/types.ts';
import type { Credentials } from '../../image/image-store.ts';

const DOCKER_HUB = 'docker.io';
const HUB_HOSTS = ['index.docker.io', 'registry-1.docker.io', DOCKER_HUB];

interface Auth {
  readonly auth?: string;
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
  readonly registrytoken?: string;
}

/** Secrets that cannot be read are passed over. */
export function credentialsFor(image: string, secrets: readonly Secret[]): readonly Credentials[] {
  const target = targetOf(image);
  return secrets
    .flatMap((secret) => Object.entries(authsOf(secret)))
    .map(([key, auth]) => ({ place: placeOf(key), auth }))
    .filter(({ place }) => fits(place, target))
    .sort((a, b) => b.place.path.length - a.place.path.length)
    .map(({ auth }) => toCredentials(auth));
}

interface Place {
  readonly host: string;
  readonly port: string;
  /** Without slashes at its ends. */
  readonly path: string;
}

/** `https://host:port/path`, `*.example.org`, `host/team`; Docker Hub's old keys are the host alone. */
function placeOf(key: string): Place {
  const [authority = '', ...rest] = key.replace(/^https?:\/\//, '').split('/');
  const [host = '', port = ''] = authority.split(':');
  if (HUB_HOSTS.includes(host)) return { host: DOCKER_HUB, port: '', path: '' };
  const path = rest.join('/').replace(/\/+$/, '');
  return { host, port, path: /^v[12]$/.test(path) ? '' : path };
}

function targetOf(image: string): Place {
  const [name = ''] = image.split('@');
  const first = name.split('/')[0] ?? '';
  const isHost = name.includes('/') && (/[.:]/.test(first) || first === 'localhost');
  return placeOf(isHost ? name : `${DOCKER_HUB}/${name}`);
}

/** Each part of a host name may hold wildcards; the port must be the same, the path a beginning. */
function fits(place: Place, target: Place): boolean {
  const parts = place.host.split('.');
  const wanted = target.host.split('.');
  return (
    place.port === target.port &&
    target.path.startsWith(place.path) &&
    parts.length === wanted.length &&
    parts.every((part, at) => matches(part, wanted[at] ?? ''))
  );
}

function matches(glob: string, text: string): boolean {
  if (!glob.includes('*')) return glob === text;
  const escaped = glob.split('*').map((part) => part.replaceAll(/[^a-zA-Z0-9-]/g, '\\$&'));
  return new RegExp(`^${escaped.join('.*')}$`).test(text);
}

function authsOf({ data = {} }: Secret): Readonly<Record<string, Auth>> {
  try {
    const config = data['.dockerconfigjson'];
    if (config) return JSON.parse(Buffer.from(config, 'base64').toString()).auths ?? {};
    const legacy = data['.dockercfg'];
    return legacy ? JSON.parse(Buffer.from(legacy, 'base64').toString()) : {};
  } catch {
    return {}; // Not JSON: the pull goes on without it, as in the kubelet.
  }
}

function toCredentials(login: Auth): Credentials {
  const { auth, username, password, identitytoken, registrytoken } = login;
  const decoded = auth ? Buffer.from(auth, 'base64').toString() : '';
  const colon = decoded.indexOf(':');
  const user = username ?? (colon > 0 ? decoded.slice(0, colon) : undefined);
  const secret = password ?? (colon > 0 ? decoded.slice(colon + 1) : undefined);
  return {
    ...(user ? { username: user } : {}),
    ...(secret ? { password: secret } : {}),
    ...(identitytoken ? { identityToken: identitytoken } : {}),
    ...(registrytoken ? { registryToken: registrytoken } : {}),
  };
}

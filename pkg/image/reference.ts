/** Image references as Docker writes them: parsed and completed (`busybox` = `docker.io/library/busybox:latest`). */

import { ImageError } from './image-store.ts';

export interface Reference {
  /** Host and optional port. */
  readonly registry: string;
  /** Path inside the registry: `library/busybox`. */
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: string;
}

const MAX_NAME = 255;
const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const HOST =
  /^(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const DIGEST = /^sha256:[a-f0-9]{64}$/;

/** Parses a reference; a name without tag and digest gets the tag `latest`. Throws ImageError InvalidReference. */
export function parseReference(text: string): Reference {
  const [beforeDigest, digest] = cut(text, text.indexOf('@'));
  if (digest !== undefined && !DIGEST.test(digest)) {
    throw invalid(text, `"${digest}" is not a sha256 digest`);
  }
  const colon = beforeDigest.lastIndexOf(':');
  const [name, tag] = cut(beforeDigest, colon > beforeDigest.lastIndexOf('/') ? colon : -1);
  if (tag !== undefined && !TAG.test(tag)) throw invalid(text, `"${tag}" is not a tag`);
  const { registry, repository } = splitName(name);
  checkName(text, registry, repository);
  const wanted = tag ?? (digest === undefined ? 'latest' : undefined);
  return {
    registry,
    repository,
    ...(wanted === undefined ? {} : { tag: wanted }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** `docker.io/library/busybox`. */
export function nameOf(reference: Reference): string {
  return `${reference.registry}/${reference.repository}`;
}

/** The whole reference; a digest wins over a tag, as it says what is meant exactly. */
export function format(reference: Reference): string {
  return reference.digest === undefined
    ? `${nameOf(reference)}:${reference.tag}`
    : `${nameOf(reference)}@${reference.digest}`;
}

/** True for `sha256:<64 hex>`, the only digest algorithm in use. */
export function isDigest(text: string): boolean {
  return DIGEST.test(text);
}

function cut(text: string, at: number): [string, string | undefined] {
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

/** The part before the first slash is a host only if it looks like one: a dot, a port, localhost or capitals. */
function splitName(name: string): { registry: string; repository: string } {
  const [first, rest] = cut(name, name.indexOf('/'));
  const isHost =
    rest !== undefined && (/[.:]/.test(first) || first === 'localhost' || /[A-Z]/.test(first));
  const registry = isHost ? first : 'docker.io';
  const repository = isHost ? rest : name;
  if (registry !== 'docker.io' && registry !== 'index.docker.io') return { registry, repository };
  return {
    registry: 'docker.io',
    repository: repository.includes('/') ? repository : `library/${repository}`,
  };
}

function checkName(text: string, registry: string, repository: string): void {
  if (!HOST.test(registry)) throw invalid(text, `"${registry}" is not a registry host`);
  if (registry.length + repository.length + 1 > MAX_NAME) {
    throw invalid(text, `the name is longer than ${MAX_NAME} characters`);
  }
  if (!repository.split('/').every((component) => COMPONENT.test(component))) {
    throw invalid(text, 'a repository name has lower-case letters, digits, dots, dashes, slashes');
  }
}

function invalid(text: string, why: string): ImageError {
  return new ImageError('InvalidReference', `invalid image reference "${text}": ${why}`);
}

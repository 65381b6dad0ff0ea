/**
 * Which HTTP proxy leads to a server: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY as curl and Go read them,
 * in capitals or not. Loopback is never proxied.
 */

import { BlockList, isIP } from 'node:net';

export type Environment = Readonly<Record<string, string | undefined>>;

/** The proxy for this URL, or undefined for a direct connection. Throws on a proxy that is no http(s) URL. */
export function proxyFor(url: URL, env: Environment): URL | undefined {
  const host = bareHost(url);
  if (isLoopback(host) || isExcluded(host, portOf(url), read(env, 'NO_PROXY'))) return undefined;
  const own = url.protocol === 'http:' ? 'HTTP_PROXY' : 'HTTPS_PROXY';
  const value = read(env, own) || read(env, 'ALL_PROXY');
  if (!value) return undefined;
  const proxy = URL.parse(value.includes('://') ? value : `http://${value}`);
  if (!proxy || (proxy.protocol !== 'http:' && proxy.protocol !== 'https:')) {
    throw new Error(`The proxy in ${own} must be an http or https URL`);
  }
  return proxy;
}

/** A URL's host without the brackets of IPv6. */
export function bareHost(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}

/** A URL's port, that of its protocol when it names none. */
export function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port);
  return url.protocol === 'http:' ? 80 : 443;
}

function read(env: Environment, name: string): string {
  return env[name.toLowerCase()] ?? env[name] ?? '';
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

function isExcluded(host: string, port: number, list: string): boolean {
  return list
    .split(',')
    .map((entry) => entry.trim().toLowerCase())
    .some((entry) => entry !== '' && matches(entry, host.toLowerCase(), port));
}

function matches(entry: string, host: string, port: number): boolean {
  if (entry === '*') return true;
  if (entry.includes('/')) return inRange(entry, host);
  const [, name = entry, wanted] = /^(.*?):(\d+)$/.exec(isIP(entry) === 6 ? '' : entry) ?? [];
  if (wanted !== undefined && Number(wanted) !== port) return false;
  const suffix = name.replace(/^\*?\./, '');
  return host === suffix || (isIP(host) === 0 && host.endsWith(`.${suffix}`));
}

function inRange(range: string, host: string): boolean {
  const [address = '', bits = ''] = range.split('/');
  const version = isIP(address);
  if (version === 0 || version !== isIP(host)) return false;
  const family = version === 4 ? 'ipv4' : 'ipv6';
  const list = new BlockList();
  try {
    list.addSubnet(address, Number(bits), family);
  } catch {
    return false; // A range that is none excludes nothing.
  }
  return list.check(host, family);
}

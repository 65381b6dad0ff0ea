/**
 * The server's own keys under <dataDir>/server/tls: CA, server and admin certificates, the service-account key.
 * The CA and the service-account key are made once and never again; certificates are issued anew when they are
 * due or lack an address. Loading is idempotent: calling it again while running is how renewal works.
 */

import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { join } from 'node:path';
import type { Authority } from './certificate.ts';
import { readIfPresent, readPrivateFile, writePrivateFile } from './file.ts';
import {
  createAuthority,
  createKeyPair,
  isRenewalDue,
  type KeyPair,
  type KeyPairPaths,
  keyToPem,
  newKey,
  parseOrExplain,
  readKeyPair,
  writeKeyPair,
} from './key-pair.ts';

/** Names under which the API server is reached inside the cluster; agents verify it as `kubernetes`. */
const FIXED_NAMES = ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc'];
const LOCAL_NAMES = ['localhost', '127.0.0.1', '::1'];
const ADMIN_USER = 'system:admin';
const ADMIN_GROUP = 'system:masters';
const SERVING = 'serving-kube-apiserver';

export interface ServerPkiOptions {
  /** <dataDir>/server/tls. */
  readonly dir: string;
  /** Further names and addresses of the server: node names, node IPs, the first service IP, --tls-san. */
  readonly names: readonly string[];
  readonly clusterDomain?: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

interface ServiceAccountKey {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

export interface ServerPki {
  readonly ca: Authority;
  readonly server: KeyPair;
  readonly admin: KeyPair;
  readonly serviceAccountKey: ServiceAccountKey;
}

/** Loads what is there, makes what is missing, renews what is due. Throws on damaged files, naming them. */
export async function loadServerPki(options: ServerPkiOptions): Promise<ServerPki> {
  const { dir, now } = options;
  const ca = await loadAuthority(dir, now);
  const domain = options.clusterDomain ?? 'cluster.local';
  const names = [
    ...FIXED_NAMES,
    `kubernetes.default.svc.${domain}`,
    ...LOCAL_NAMES,
    ...options.names,
  ];
  const [server, admin] = await Promise.all([
    loadLeaf(pathsOf(dir, SERVING), ca, {
      subject: { commonName: 'kube-apiserver', organizations: [] },
      usages: ['server'],
      altNames: [...new Set(names)],
      now,
    }),
    loadLeaf(pathsOf(dir, 'client-admin'), ca, {
      subject: { commonName: ADMIN_USER, organizations: [ADMIN_GROUP] },
      usages: ['client'],
      now,
    }),
  ]);
  return { ca, server, admin, serviceAccountKey: loadServiceAccountKey(join(dir, 'service.key')) };
}

function pathsOf(dir: string, name: string): KeyPairPaths {
  return { certificate: join(dir, `${name}.crt`), key: join(dir, `${name}.key`) };
}

async function loadAuthority(dir: string, now: number): Promise<Authority> {
  const paths = pathsOf(dir, 'server-ca');
  const found = readKeyPair(paths);
  if (found) {
    const parsed = new X509Certificate(found.certificate);
    if (!parsed.ca) throw new Error(`${paths.certificate} is not a CA certificate`);
    if (Date.parse(parsed.validTo) < now) {
      throw new Error(`The CA in ${paths.certificate} expired on ${parsed.validTo}`);
    }
    return { certificate: found.certificate, key: createPrivateKey(found.key) };
  }
  const leaf = pathsOf(dir, SERVING).certificate;
  if (readIfPresent(leaf) !== undefined) {
    throw new Error(
      `${paths.certificate} does not exist, though it signed ${leaf}: restore it from a backup; with a new CA, every node and client would have to join again (remove ${dir} to have that)`,
    );
  }
  const made = await createAuthority('mini-ca', now);
  writeKeyPair(paths, { certificate: made.certificate, key: keyToPem(made.key) });
  return made;
}

type Leaf = Parameters<typeof createKeyPair>[1];

async function loadLeaf(paths: KeyPairPaths, ca: Authority, options: Leaf): Promise<KeyPair> {
  const found = readKeyPair(paths);
  if (found && isUsable(found, ca, options)) return found;
  // Addresses that an earlier start knew stay: clients may still use them.
  const altNames = [...new Set([...(options.altNames ?? []), ...(found ? altNamesOf(found) : [])])];
  const made = await createKeyPair(ca, { ...options, altNames });
  writeKeyPair(paths, made);
  return made;
}

function isUsable(pair: KeyPair, ca: Authority, options: Leaf): boolean {
  const parsed = new X509Certificate(pair.certificate);
  if (!parsed.verify(createPublicKey(ca.certificate))) return false;
  if (isRenewalDue(pair.certificate, options.now)) return false;
  const present = new Set(altNamesOf(pair));
  return (options.altNames ?? []).every((name) => present.has(canonical(name)));
}

function altNamesOf(pair: KeyPair): string[] {
  const text = new X509Certificate(pair.certificate).subjectAltName ?? '';
  if (text === '') return [];
  return text.split(', ').map((entry) => canonical(entry.slice(entry.indexOf(':') + 1)));
}

/** One spelling for an address, so that `::1` and `0:0:0:0:0:0:0:1` are the same name. */
function canonical(name: string): string {
  if (isIP(name) !== 6) return name.toLowerCase();
  return new URL(`http://[${name}]`).hostname.slice(1, -1);
}

function loadServiceAccountKey(path: string): ServiceAccountKey {
  const found = readPrivateFile(path);
  const pem = found ?? keyToPem(newKey());
  const privateKey = parseOrExplain(path, () => createPrivateKey(pem));
  if (found === undefined) writePrivateFile(path, pem);
  return { privateKey, publicKey: createPublicKey(privateKey) };
}

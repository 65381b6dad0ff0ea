/**
 * A certificate with its key, in memory and as two files. Present files are used as they are; damaged ones are
 * an error that names the file, never a reason to make new ones.
 */

import {
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  X509Certificate,
} from 'node:crypto';
import {
  type Authority,
  type CertificateOptions,
  issueCertificate,
  spkiOf,
} from './certificate.ts';
import { readIfPresent, readPrivateFile, writePrivateFile } from './file.ts';

const DAY_MS = 86_400_000;
/** A certificate is renewed when less than this share of its life is left (a year's: four months before). */
const RENEW_SHARE = 1 / 3;
const CA_LIFETIME_MS = 3650 * DAY_MS;
export const LEAF_LIFETIME_MS = 365 * DAY_MS;
/**
 * A board without a clock starts in 1970. Nothing is issued as of a time before this one, so that certificates
 * made before the clock was set stay valid afterwards.
 */
const EARLIEST_MS = Date.UTC(2026, 0, 1);

/** PEM texts as TLS wants them. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

export interface KeyPairPaths {
  readonly certificate: string;
  readonly key: string;
}

/** A new P-256 key: small, fast on a small board, understood by every client. */
export function newKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey;
}

/** A private key as PKCS#8 PEM. */
export function keyToPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** Makes a CA that signs itself. */
export async function createAuthority(commonName: string, now: number): Promise<Authority> {
  const key = newKey();
  const from = Math.max(now, EARLIEST_MS);
  const certificate = await issueCertificate(
    {
      subject: { commonName, organizations: [] },
      publicKey: spkiOf(key),
      usages: ['ca'],
      notBefore: EARLIEST_MS,
      notAfter: from + CA_LIFETIME_MS,
    },
    { key },
  );
  return { certificate, key };
}

export type LeafOptions = Pick<CertificateOptions, 'subject' | 'usages' | 'altNames'> & {
  readonly now: number;
  readonly lifetimeMs?: number;
};

/** Issues a leaf for somebody else's public key. Valid since the CA is, so that clocks may differ. */
export async function issueLeaf(
  ca: Authority,
  options: LeafOptions & { readonly publicKey: Buffer },
): Promise<string> {
  const caParsed = new X509Certificate(ca.certificate);
  const from = Math.max(options.now, EARLIEST_MS);
  const wanted = from + (options.lifetimeMs ?? LEAF_LIFETIME_MS);
  return issueCertificate(
    {
      ...options,
      notBefore: Math.min(Date.parse(caParsed.validFrom), from),
      notAfter: Math.min(wanted, Date.parse(caParsed.validTo)),
    },
    ca,
  );
}

/** Makes a key and issues its certificate. */
export async function createKeyPair(ca: Authority, options: LeafOptions): Promise<KeyPair> {
  const key = newKey();
  const certificate = await issueLeaf(ca, { ...options, publicKey: spkiOf(key) });
  return { certificate, key: keyToPem(key) };
}

/** Reads both files; undefined when neither exists. Throws when one is missing, damaged, or does not match. */
export function readKeyPair(paths: KeyPairPaths): KeyPair | undefined {
  const certificate = readIfPresent(paths.certificate);
  const key = readPrivateFile(paths.key);
  if (certificate === undefined && key === undefined) return undefined;
  // The key is written first: a crash between the two leaves a key that nothing was issued for.
  if (certificate === undefined) return undefined;
  if (key === undefined) {
    throw new Error(
      `${paths.certificate} exists but its key ${paths.key} does not; restore it or remove the certificate`,
    );
  }
  const parsed = parseOrExplain(paths.certificate, () => new X509Certificate(certificate));
  const privateKey = parseOrExplain(paths.key, () => createPrivateKey(key));
  if (!parsed.checkPrivateKey(privateKey)) {
    throw new Error(
      `${paths.key} is not the key of ${paths.certificate}; restore the pair or remove both`,
    );
  }
  return { certificate, key };
}

/** Writes both files, key first. */
export function writeKeyPair(paths: KeyPairPaths, pair: KeyPair): void {
  writePrivateFile(paths.key, pair.key);
  writePrivateFile(paths.certificate, pair.certificate);
}

/** Whether a certificate has expired or is in the last third of its life. */
export function isRenewalDue(certificate: string, now: number): boolean {
  const parsed = new X509Certificate(certificate);
  const end = Date.parse(parsed.validTo);
  const lifetime = Math.min(end - Date.parse(parsed.validFrom), LEAF_LIFETIME_MS);
  return now > end - lifetime * RENEW_SHARE;
}

/** When renewal falls due, in milliseconds since the epoch. */
export function renewalTime(certificate: string): number {
  const parsed = new X509Certificate(certificate);
  const end = Date.parse(parsed.validTo);
  return end - Math.min(end - Date.parse(parsed.validFrom), LEAF_LIFETIME_MS) * RENEW_SHARE;
}

/** Runs `parse`; a failure becomes an error that names the file. */
export function parseOrExplain<T>(path: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`${path} is damaged (${why}); restore it from a backup or remove it`, {
      cause,
    });
  }
}

/** PKCS#10 signing requests: made by a node or a test, read and checked by whoever signs them. */

import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { signatureAlgorithm, spkiOf } from './certificate.ts';
import {
  bitString,
  children,
  type DerNode,
  decode,
  encode,
  integer,
  readBits,
  readOid,
  sequence,
  TAG,
} from './der.ts';
import { decodeSubject, encodeSubject, type Subject } from './name.ts';
import { pemToDer, toPem } from './pem.ts';

const LABEL = 'CERTIFICATE REQUEST';
const EXTENSION_REQUEST = '1.2.840.113549.1.9.14';
const SUBJECT_ALT_NAME = '2.5.29.17';

/** Hash by signature algorithm; null where the algorithm brings its own. */
const HASHES: Readonly<Record<string, string | null>> = {
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.3.101.112': null,
};
/** Keys weaker than these are refused. */
const MIN_RSA_BITS = 2048;

/** What a request asks for, its signature verified. */
export interface SigningRequest {
  readonly subject: Subject;
  /** SubjectPublicKeyInfo in DER. */
  readonly publicKey: Buffer;
  /** DNS names and IP addresses it asks for. */
  readonly altNames: readonly string[];
}

/** Makes a request in PEM for this key. */
export function createCsr(subject: Subject, key: KeyObject): string {
  const info = sequence(integer(Buffer.of(0)), encodeSubject(subject), spkiOf(key), encode(0xa0));
  const signature = bitString(sign('sha256', info, key));
  return toPem(LABEL, sequence(info, signatureAlgorithm(key), signature));
}

/** Reads a request and verifies that its sender holds the key. Throws an Error that says what is wrong. */
export function parseCsr(pem: string): SigningRequest {
  try {
    return read(pem);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`Cannot use the certificate signing request: ${why}`, { cause });
  }
}

function read(pem: string): SigningRequest {
  const [info, algorithm, signature] = children(decode(pemToDer(pem, LABEL)));
  const [, subject, publicKey, attributes] = children(info);
  if (!info || !publicKey) throw new Error('it is incomplete');
  verifySignature({ info, publicKey, algorithm, signature });
  return {
    subject: decodeSubject(subject),
    publicKey: Buffer.from(publicKey.raw),
    altNames: attributes ? altNamesIn(attributes) : [],
  };
}

function verifySignature(parts: {
  readonly info: DerNode;
  readonly publicKey: DerNode;
  readonly algorithm: DerNode | undefined;
  readonly signature: DerNode | undefined;
}): void {
  const name = readOid(children(parts.algorithm)[0]);
  const hash = HASHES[name];
  if (hash === undefined) throw new Error(`signature algorithm ${name} is not supported`);
  const key = createPublicKey({ key: parts.publicKey.raw, format: 'der', type: 'spki' });
  const bits = key.asymmetricKeyDetails?.modulusLength;
  if (bits !== undefined && bits < MIN_RSA_BITS) {
    throw new Error(`an RSA key needs ${MIN_RSA_BITS} bits, this one has ${bits}`);
  }
  if (!verify(hash, parts.info.raw, key, readBits(parts.signature))) {
    throw new Error('its signature does not match its key');
  }
}

function altNamesIn(attributes: DerNode): string[] {
  const names: string[] = [];
  for (const attribute of children(attributes, 0xa0)) {
    const [type, values] = children(attribute);
    if (readOid(type) !== EXTENSION_REQUEST) continue;
    for (const extensions of children(values, TAG.set)) {
      for (const extension of children(extensions)) names.push(...altNamesOf(extension));
    }
  }
  return names;
}

function altNamesOf(extension: DerNode): string[] {
  const parts = children(extension);
  if (readOid(parts[0]) !== SUBJECT_ALT_NAME) return [];
  const value = parts.at(-1);
  return children(value && decode(value.content)).map(({ tag, content }) => {
    if (tag === 0x82) return content.toString('latin1');
    if (tag === 0x87 && content.length === 4) return [...content].join('.');
    if (tag === 0x87 && content.length === 16) return ipv6Text(content);
    throw new Error('it asks for a name that is neither DNS nor IP');
  });
}

function ipv6Text(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, index) =>
    bytes.readUInt16BE(index * 2).toString(16),
  );
  return groups.join(':');
}

/**
 * Issues X.509 certificates with node:crypto alone, so that a start loads nothing more. Used by the server for
 * its own certificates and for those of nodes and users; reading and verifying is node:crypto's X509Certificate.
 */

import { createHash, createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP, isIPv6 } from 'node:net';
import {
  bitString,
  children,
  DerError,
  decode,
  encode,
  explicit,
  integer,
  octetString,
  oid,
  readBits,
  sequence,
  TAG,
  time,
} from './der.ts';
import { encodeSubject, type Subject } from './name.ts';
import { pemToDer, toPem } from './pem.ts';

const OID = {
  ecdsaSha256: '1.2.840.10045.4.3.2',
  rsaSha256: '1.2.840.113549.1.1.11',
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extendedKeyUsage: '2.5.29.37',
  subjectAltName: '2.5.29.17',
  subjectKeyId: '2.5.29.14',
  authorityKeyId: '2.5.29.35',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;

/** What a certificate may be used for. */
type Usage = 'ca' | 'server' | 'client';

/** A certificate and the key that it certifies. */
export interface Authority {
  readonly certificate: string;
  readonly key: KeyObject;
}

export interface CertificateOptions {
  readonly subject: Subject;
  /** SubjectPublicKeyInfo in DER. */
  readonly publicKey: Buffer;
  readonly usages: readonly Usage[];
  /** DNS names and IP addresses. */
  readonly altNames?: readonly string[];
  readonly notBefore: number;
  readonly notAfter: number;
}

/** Issues a certificate in PEM, signed by `issuer`; with a bare key instead it signs itself. */
export function issueCertificate(
  options: CertificateOptions,
  issuer: Authority | { readonly key: KeyObject },
): string {
  const subject = encodeSubject(options.subject);
  const algorithm = signatureAlgorithm(issuer.key);
  const serial = randomBytes(16);
  serial[0] = (serial[0] ?? 0) & 0x7f;
  const issuerKey = spkiOf(issuer.key);
  const body = sequence(
    explicit(0, integer(Buffer.of(2))),
    integer(serial),
    algorithm,
    'certificate' in issuer ? subjectOf(issuer.certificate) : subject,
    sequence(time(options.notBefore), time(options.notAfter)),
    subject,
    options.publicKey,
    explicit(3, sequence(...extensions(options, issuerKey))),
  );
  const signature = sign('sha256', body, issuer.key);
  return toPem('CERTIFICATE', sequence(body, algorithm, bitString(signature)));
}

/** SubjectPublicKeyInfo of a private or public key. */
export function spkiOf(key: KeyObject): Buffer {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  return publicKey.export({ type: 'spki', format: 'der' });
}

/** The AlgorithmIdentifier with which this key signs here: always SHA-256. */
export function signatureAlgorithm(key: KeyObject): Buffer {
  if (key.asymmetricKeyType === 'ec') return sequence(oid(OID.ecdsaSha256));
  if (key.asymmetricKeyType === 'rsa') return sequence(oid(OID.rsaSha256), encode(TAG.null));
  throw new Error(`Cannot sign certificates with a key of type ${key.asymmetricKeyType}`);
}

/** A GeneralNames value of DNS names and IP addresses. */
function encodeAltNames(names: readonly string[]): Buffer {
  return sequence(
    ...names.map((name) =>
      isIP(name) ? encode(0x87, ipBytes(name)) : encode(0x82, Buffer.from(name, 'latin1')),
    ),
  );
}

function extensions(options: CertificateOptions, issuerKey: Buffer): Buffer[] {
  const { usages, altNames = [] } = options;
  const isCa = usages.includes('ca');
  const purposes = [
    ...(usages.includes('server') ? [oid(OID.serverAuth)] : []),
    ...(usages.includes('client') ? [oid(OID.clientAuth)] : []),
  ];
  return [
    extension(
      OID.keyUsage,
      isCa ? bitString(Buffer.of(0x86), 1) : bitString(Buffer.of(0xa0), 5),
      true,
    ),
    extension(
      OID.basicConstraints,
      isCa ? sequence(encode(TAG.boolean, Buffer.of(0xff))) : sequence(),
      true,
    ),
    extension(OID.subjectKeyId, octetString(keyId(options.publicKey))),
    extension(OID.authorityKeyId, sequence(encode(0x80, keyId(issuerKey)))),
    ...(purposes.length > 0 ? [extension(OID.extendedKeyUsage, sequence(...purposes))] : []),
    ...(altNames.length > 0 ? [extension(OID.subjectAltName, encodeAltNames(altNames))] : []),
  ];
}

function extension(type: string, value: Buffer, isCritical = false): Buffer {
  const critical = isCritical ? [encode(TAG.boolean, Buffer.of(0xff))] : [];
  return sequence(oid(type), ...critical, octetString(value));
}

/** RFC 5280 4.2.1.2: the SHA-1 of the key's bits names it; it secures nothing. */
function keyId(spki: Buffer): Buffer {
  const [, bits] = children(decode(spki));
  return createHash('sha1').update(readBits(bits)).digest();
}

/** The issuer's own subject, byte for byte, so that chains match. */
function subjectOf(pem: string): Buffer {
  const [body] = children(decode(pemToDer(pem, 'CERTIFICATE')));
  const fields = children(body);
  const hasVersion = fields[0]?.tag === 0xa0;
  const subject = fields[hasVersion ? 5 : 4];
  if (!subject) throw new DerError('certificate has no subject');
  return subject.raw;
}

function ipBytes(address: string): Buffer {
  if (!isIPv6(address)) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail = ''] = address.toLowerCase().replace(/%.*$/, '').split('::');
  const left = head ? head.split(':').flatMap(groupBytes) : [];
  const right = tail ? tail.split(':').flatMap(groupBytes) : [];
  const gap = new Array<number>(Math.max(16 - left.length - right.length, 0)).fill(0);
  return Buffer.from([...left, ...gap, ...right]);
}

function groupBytes(group: string): number[] {
  if (group.includes('.')) return group.split('.').map(Number);
  const value = Number.parseInt(group, 16);
  return [value >> 8, value & 0xff];
}

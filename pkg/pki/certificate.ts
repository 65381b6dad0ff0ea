/** Issues X.509 certificates: the server's own, and those of nodes and users. Reading is node:crypto's X509Certificate. */

import { createPublicKey, type KeyObject, randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import type { Extension, JsonName, Name } from '@peculiar/x509';

type Library = typeof import('./x509.ts');

const SERIAL_BYTES = 16;
/** WebCrypto's name of a curve by OpenSSL's. */
const CURVES: Readonly<Record<string, string>> = {
  prime256v1: 'P-256',
  secp384r1: 'P-384',
  secp521r1: 'P-521',
};

/** What a certificate may be used for. */
type Usage = 'ca' | 'server' | 'client';

/** CN is the user, each O a group. Source: Kubernetes' client certificate authentication. */
export interface Subject {
  readonly commonName: string;
  readonly organizations: readonly string[];
}

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
export async function issueCertificate(
  options: CertificateOptions,
  issuer: Authority | { readonly key: KeyObject },
): Promise<string> {
  const x509 = await import('./x509.ts');
  const subject = jsonName(options.subject);
  const parent = 'certificate' in issuer ? issuerOf(x509, issuer.certificate) : undefined;
  const serial = randomBytes(SERIAL_BYTES);
  // Positive and of full length: RFC 5280 4.1.2.2.
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  const made = await x509.X509CertificateGenerator.create({
    serialNumber: serial.toString('hex'),
    subject,
    issuer: parent?.name ?? subject,
    notBefore: new Date(options.notBefore),
    notAfter: new Date(options.notAfter),
    publicKey: options.publicKey,
    signingKey: webKey(issuer.key),
    signingAlgorithm: signingAlgorithm(issuer.key),
    extensions: await extensions(x509, {
      ...options,
      issuerKeyId: parent?.keyId,
      issuerKey: spkiOf(issuer.key),
    }),
  });
  return `${made.toString('pem')}\n`;
}

/** SubjectPublicKeyInfo of a private or public key. */
export function spkiOf(key: KeyObject): Buffer {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  return publicKey.export({ type: 'spki', format: 'der' });
}

/** How this key signs here: always with SHA-256. */
export function signingAlgorithm(key: KeyObject) {
  const hash = 'SHA-256';
  if (key.asymmetricKeyType === 'rsa') return { name: 'RSASSA-PKCS1-v1_5', hash };
  const namedCurve = CURVES[key.asymmetricKeyDetails?.namedCurve ?? ''];
  if (key.asymmetricKeyType === 'ec' && namedCurve) return { name: 'ECDSA', namedCurve, hash };
  throw new Error(`Cannot sign certificates with a key of type ${key.asymmetricKeyType}`);
}

/** The key as WebCrypto has it, for signing (private) or verifying (public). */
export function webKey(key: KeyObject): CryptoKey {
  return key.toCryptoKey(signingAlgorithm(key), true, [key.type === 'private' ? 'sign' : 'verify']);
}

/** A subject as the library takes it, organizations first as openssl prints them. */
export function jsonName({ commonName, organizations }: Subject): JsonName {
  return [...organizations.map((name) => ({ O: [name] })), { CN: [commonName] }];
}

/** The issuer's own subject and key identifier, as they stand in its certificate, so that chains match. */
function issuerOf(x509: Library, pem: string): { name: Name; keyId: string | undefined } {
  const parsed = new x509.X509Certificate(pem);
  return {
    name: parsed.subjectName,
    keyId: parsed.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId,
  };
}

async function extensions(
  x509: Library,
  options: CertificateOptions & {
    readonly issuerKey: Buffer;
    readonly issuerKeyId: string | undefined;
  },
): Promise<Extension[]> {
  const { usages, altNames = [], publicKey, issuerKey, issuerKeyId } = options;
  const isCa = usages.includes('ca');
  const flags = x509.KeyUsageFlags;
  const { serverAuth, clientAuth } = x509.ExtendedKeyUsage;
  const purposes = [
    ...(usages.includes('server') ? [serverAuth] : []),
    ...(usages.includes('client') ? [clientAuth] : []),
  ];
  return [
    new x509.KeyUsagesExtension(
      isCa
        ? flags.digitalSignature | flags.keyCertSign | flags.cRLSign
        : flags.digitalSignature | flags.keyEncipherment,
      true,
    ),
    new x509.BasicConstraintsExtension(isCa, undefined, true),
    await x509.SubjectKeyIdentifierExtension.create(publicKey),
    issuerKeyId === undefined
      ? await x509.AuthorityKeyIdentifierExtension.create(issuerKey)
      : new x509.AuthorityKeyIdentifierExtension(issuerKeyId),
    ...(purposes.length > 0 ? [new x509.ExtendedKeyUsageExtension(purposes)] : []),
    ...(altNames.length > 0
      ? [
          new x509.SubjectAlternativeNameExtension(
            altNames.map((value) => ({
              type: isIP(value) ? ('ip' as const) : ('dns' as const),
              value,
            })),
          ),
        ]
      : []),
  ];
}

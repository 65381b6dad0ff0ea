/** PKCS#10 signing requests: made by a node or a test, read and checked by whoever signs them. */

import { createPublicKey, type KeyObject } from 'node:crypto';
import type { Pkcs10CertificateRequest } from '@peculiar/x509';
import { jsonName, type Subject, signingAlgorithm, webKey } from './certificate.ts';

/** Keys weaker than these are refused. */
const MIN_RSA_BITS = 2048;
/** No request that we take is longer; refused before anything is decoded. */
const MAX_PEM_BYTES = 65_536;

/** What a request asks for, its signature verified. */
export interface SigningRequest {
  readonly subject: Subject;
  /** SubjectPublicKeyInfo in DER. */
  readonly publicKey: Buffer;
  /** DNS names and IP addresses it asks for. */
  readonly altNames: readonly string[];
}

/** Makes a request in PEM for this private key. */
export async function createCsr(subject: Subject, key: KeyObject): Promise<string> {
  const { Pkcs10CertificateRequestGenerator } = await import('./x509.ts');
  const made = await Pkcs10CertificateRequestGenerator.create({
    name: jsonName(subject),
    keys: { privateKey: webKey(key), publicKey: webKey(createPublicKey(key)) },
    signingAlgorithm: signingAlgorithm(key),
  });
  return `${made.toString('pem')}\n`;
}

/** Reads a request and verifies that its sender holds the key. Rejects with an Error that says what is wrong. */
export async function parseCsr(pem: string): Promise<SigningRequest> {
  try {
    return await read(pem);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`Cannot use the certificate signing request: ${why}`, { cause });
  }
}

async function read(pem: string): Promise<SigningRequest> {
  if (pem.length > MAX_PEM_BYTES) throw new Error(`it is over ${MAX_PEM_BYTES} bytes`);
  const x509 = await import('./x509.ts');
  const [block] = x509.PemConverter.decodeWithHeaders(pem);
  if (block?.type !== 'CERTIFICATE REQUEST')
    throw new Error('no PEM block CERTIFICATE REQUEST found');
  const request = new x509.Pkcs10CertificateRequest(block.rawData);
  const publicKey = Buffer.from(request.publicKey.rawData);
  const bits = createPublicKey({ key: publicKey, format: 'der', type: 'spki' }).asymmetricKeyDetails
    ?.modulusLength;
  if (bits !== undefined && bits < MIN_RSA_BITS) {
    throw new Error(`an RSA key needs ${MIN_RSA_BITS} bits, this one has ${bits}`);
  }
  if (!(await request.verify())) throw new Error('its signature does not match its key');
  const [commonName = ''] = request.subjectName.getField('CN');
  return {
    subject: { commonName, organizations: request.subjectName.getField('O') },
    publicKey,
    altNames: altNamesOf(request, x509.SubjectAlternativeNameExtension),
  };
}

function altNamesOf(
  request: Pkcs10CertificateRequest,
  type: typeof import('@peculiar/x509').SubjectAlternativeNameExtension,
): string[] {
  // A plain array: the library's own kind would go on into what is made of it.
  return [...request.extensions]
    .filter((extension) => extension instanceof type)
    .flatMap(({ names }) => [...names.items])
    .map((name) => {
      if (name.type !== 'dns' && name.type !== 'ip')
        throw new Error('it asks for a name that is neither DNS nor IP');
      return name.value;
    });
}

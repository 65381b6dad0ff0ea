/**
 * Keys of pods and the empty PKCS#10 requests that prove that somebody has one. Written by hand, as a node does not
 * otherwise need the library for certificates: a request without a name and extensions has four fixed parts.
 */

import { generateKeyPair, type KeyObject, sign } from 'node:crypto';
import { promisify } from 'node:util';
import { spkiOf } from './certificate.ts';

const generate = promisify(generateKeyPair);

interface KeyKind {
  make(): Promise<KeyObject>;
  /** Digest that is signed; undefined = the key's own way. */
  readonly hash: string | undefined;
  /** AlgorithmIdentifier of its signatures, in DER. */
  readonly algorithm: string;
}

const ECDSA = '300a06082a8648ce3d0403';
const RSA = '300d06092a864886f70d01010b0500';

const KINDS: Readonly<Record<string, KeyKind>> = {
  ECDSAP256: { make: () => ec('P-256'), hash: 'sha256', algorithm: `${ECDSA}02` },
  ECDSAP384: { make: () => ec('P-384'), hash: 'sha384', algorithm: `${ECDSA}03` },
  ECDSAP521: { make: () => ec('P-521'), hash: 'sha512', algorithm: `${ECDSA}04` },
  ED25519: {
    make: async () => (await generate('ed25519')).privateKey,
    hash: undefined,
    algorithm: '300506032b6570',
  },
  RSA3072: { make: () => rsa(3072), hash: 'sha256', algorithm: RSA },
  RSA4096: { make: () => rsa(4096), hash: 'sha256', algorithm: RSA },
};

export interface PodKey {
  /** PKCS#8 in PEM. */
  readonly pem: string;
  /** PKCS#10 in DER, signed with the key. */
  readonly request: Buffer;
}

/** Makes a key of a kind that Kubernetes knows, e.g. 'ECDSAP256'. Rejects on another one. */
export async function makePodKey(keyType: string): Promise<PodKey> {
  const kind = Object.hasOwn(KINDS, keyType) ? KINDS[keyType] : undefined;
  if (!kind) throw new Error(`unknown key type ${keyType}: there are ${Object.keys(KINDS)}`);
  const key = await kind.make();
  // Version 0, no name, the public key, no attributes.
  const info = sequence(Buffer.from('020100', 'hex'), sequence(), spkiOf(key), tagged(0xa0));
  const signature = sign(kind.hash, info, key);
  return {
    pem: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    request: sequence(
      info,
      Buffer.from(kind.algorithm, 'hex'),
      tagged(0x03, Buffer.from([0]), signature),
    ),
  };
}

async function ec(namedCurve: string): Promise<KeyObject> {
  return (await generate('ec', { namedCurve })).privateKey;
}

async function rsa(modulusLength: number): Promise<KeyObject> {
  return (await generate('rsa', { modulusLength })).privateKey;
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tagged(0x30, ...parts);
}

/** DER: the tag, the length, what is in it. */
function tagged(tag: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const digits = body.length < 0x80 ? [] : bytesOf(body.length);
  const length = body.length < 0x80 ? [body.length] : [0x80 | digits.length, ...digits];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
}

function bytesOf(value: number): number[] {
  return value === 0 ? [] : [...bytesOf(Math.floor(value / 256)), value % 256];
}

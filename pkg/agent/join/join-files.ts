/**
 * A node's credentials: one file, <dataDir>/agent/credentials.json of mode 600, so that certificate and key are
 * replaced together or not at all.
 */

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { readIfPresent, writePrivateFile } from '../../pki/file.ts';
import { decodeJoinAnswer, type JoinAnswer } from '../../pki/join-protocol.ts';
import { parseOrExplain } from '../../pki/key-pair.ts';
import { newPassword } from '../../pki/token.ts';

/** As newPassword makes them. */
const PASSWORD = /^[0-9a-f]{32}$/;

export interface StoredCredentials extends JoinAnswer {
  /** PKCS#8 PEM of the certificate's key. */
  readonly key: string;
  readonly nodeName: string;
}

/** What an earlier run stored, if any. Throws on a damaged file, naming it. */
export function readCredentials(dataDir: string): StoredCredentials | undefined {
  const path = pathOf(dataDir);
  const text = readIfPresent(path);
  return text === undefined ? undefined : parseOrExplain(path, () => decode(JSON.parse(text)));
}

/** Replaces what is stored. */
export function writeCredentials(dataDir: string, credentials: StoredCredentials): void {
  writePrivateFile(pathOf(dataDir), `${JSON.stringify(credentials, undefined, 2)}\n`);
}

/** The password by which the server knows this host again; made once. */
export function nodePassword(dataDir: string): string {
  const path = join(dataDir, 'agent', 'node-password');
  const found = readIfPresent(path)?.trim();
  if (found) {
    if (PASSWORD.test(found)) return found;
    throw new Error(
      `${path} is damaged: restore it from a backup, or remove it, and the node if it has lost its credentials, too (kubectl delete node)`,
    );
  }
  const made = newPassword();
  writePrivateFile(path, `${made}\n`);
  return made;
}

function pathOf(dataDir: string): string {
  return join(dataDir, 'agent', 'credentials.json');
}

function decode(value: unknown): StoredCredentials {
  const answer = decodeJoinAnswer(value);
  const { key, nodeName } = Object(value);
  if (typeof key !== 'string' || typeof nodeName !== 'string')
    throw new Error('key or nodeName is missing');
  if (!new X509Certificate(answer.certificate).checkPrivateKey(createPrivateKey(key))) {
    throw new Error('the key is not that of the certificate');
  }
  return { ...answer, key, nodeName };
}

/** X.509 subject names: CN is the user, each O a group. Source: Kubernetes' client certificate authentication. */

import { children, type DerNode, oid, readOid, sequence, setOf, utf8String } from './der.ts';

const COMMON_NAME = '2.5.4.3';
const ORGANIZATION = '2.5.4.10';

export interface Subject {
  readonly commonName: string;
  readonly organizations: readonly string[];
}

/** The DER form of a subject, organizations first as openssl prints them. */
export function encodeSubject({ commonName, organizations }: Subject): Buffer {
  const attribute = (type: string, value: string) => setOf(sequence(oid(type), utf8String(value)));
  return sequence(
    ...organizations.map((name) => attribute(ORGANIZATION, name)),
    attribute(COMMON_NAME, commonName),
  );
}

/** Reads CN and O; other attributes are ignored. */
export function decodeSubject(node: DerNode | undefined): Subject {
  let commonName = '';
  const organizations: string[] = [];
  for (const set of children(node)) {
    for (const pair of children(set, 0x31)) {
      const [type, value] = children(pair);
      const text = value?.content.toString('utf8') ?? '';
      if (readOid(type) === COMMON_NAME) commonName = text;
      else if (readOid(type) === ORGANIZATION) organizations.push(text);
    }
  }
  return { commonName, organizations };
}

/**
 * What is true of the metadata of every object, whatever its kind: names, labels, annotations, owners, finalizers,
 * and what may not change. Source: apimachinery pkg/api/validation/objectmeta.go.
 */

import {
  type Causes,
  each,
  forbiddenField,
  immutable,
  invalidEach,
  invalidValue,
  required,
  tooLong,
} from './field-errors.ts';
import type { ApiObject, ObjectMeta, OwnerReference } from './meta.ts';
import { dnsLabel, dnsSubdomain, labelValue, qualifiedName } from './names.ts';
import type { Resource } from './resource.ts';

const ANNOTATIONS_LIMIT_BYTES = 256 * 1024;
const STANDARD_FINALIZERS = ['foregroundDeletion', 'orphan', 'kubernetes'];

type Row = Pick<Resource, 'namespaced' | 'validateName'>;

/** Checks the metadata of an object to be stored, its name and namespace already filled in. */
export function validateMeta(object: ApiObject, row: Row): Causes {
  const { metadata } = object;
  return [
    ...nameCauses(metadata, row),
    ...namespaceCauses(metadata, row),
    ...validateLabels('metadata.labels', metadata.labels),
    ...validateAnnotations('metadata.annotations', metadata.annotations),
    ...ownerCauses(metadata.ownerReferences),
    ...each('metadata.finalizers', metadata.finalizers, (name) => finalizerCauses(name)),
  ];
}

/** Checks what may not change in metadata. */
export function validateMetaUpdate(object: ApiObject, old: ApiObject): Causes {
  const [now, was] = [object.metadata, old.metadata];
  const fixed = ['name', 'namespace', 'uid', 'creationTimestamp'] as const;
  return [
    ...fixed.flatMap((field) => immutable(`metadata.${field}`, now[field], was[field])),
    ...immutable('metadata.deletionTimestamp', now.deletionTimestamp, was.deletionTimestamp),
    ...newFinalizers(now, was),
  ];
}

function newFinalizers(now: ObjectMeta, was: ObjectMeta): Causes {
  if (!was.deletionTimestamp) return [];
  const added = (now.finalizers ?? []).filter((name) => !was.finalizers?.includes(name));
  if (added.length === 0) return [];
  const list = added.map((name) => JSON.stringify(name)).join(', ');
  const why = `no new finalizers can be added if the object is being deleted, found new finalizers []string{${list}}`;
  return [forbiddenField('metadata.finalizers', why)];
}

function nameCauses({ name, generateName }: ObjectMeta, row: Row): Causes {
  const check = row.validateName ?? dnsSubdomain;
  const generated = generateName
    ? invalidEach('metadata.generateName', generateName, check(asPrefix(generateName)))
    : [];
  if (!name) return [...generated, required('metadata.name', 'name or generateName is required')];
  return [...generated, ...invalidEach('metadata.name', name, check(name))];
}

/** A prefix may end in what a name may not: the random part follows. */
function asPrefix(prefix: string): string {
  return prefix.length > 1 && prefix.endsWith('-') ? `${prefix.slice(0, -1)}a` : prefix;
}

function namespaceCauses({ namespace }: ObjectMeta, row: Row): Causes {
  const field = 'metadata.namespace';
  if (!row.namespaced) return namespace ? [forbiddenField(field, 'not allowed on this type')] : [];
  return namespace ? invalidEach(field, namespace, dnsLabel(namespace)) : [required(field)];
}

type Map = Readonly<Record<string, string>> | undefined;

/** Keys and values of labels. */
export function validateLabels(field: string, labels: Map): Causes {
  return Object.entries(labels ?? {}).flatMap(([key, value]) => [
    ...invalidEach(field, key, qualifiedName(key)),
    ...invalidEach(field, value, labelValue(value)),
  ]);
}

/** Keys of annotations and their size together. */
export function validateAnnotations(field: string, annotations: Map): Causes {
  const entries = Object.entries(annotations ?? {});
  const size = entries.reduce(
    (sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value),
    0,
  );
  return [
    ...entries.flatMap(([key]) => invalidEach(field, key, qualifiedName(key.toLowerCase()))),
    ...(size > ANNOTATIONS_LIMIT_BYTES ? [tooLong(field, ANNOTATIONS_LIMIT_BYTES)] : []),
  ];
}

function ownerCauses(owners: readonly OwnerReference[] | undefined): Causes {
  const field = 'metadata.ownerReferences';
  const controllers = (owners ?? []).filter(({ controller }) => controller);
  const [first, second] = controllers.map(({ name }) => name);
  const why = `Only one reference can have Controller set to true. Found "true" in references for ${first} and ${second}`;
  return [
    ...each(field, owners, (owner) => ownerCause(field, owner)),
    ...(controllers.length > 1 ? [invalidValue(field, owners, why)] : []),
  ];
}

function ownerCause(field: string, owner: OwnerReference): Causes {
  const { apiVersion, kind, name, uid } = owner;
  const version = apiVersion
    ? []
    : [invalidValue(`${field}.apiVersion`, apiVersion ?? '', 'version must not be empty')];
  const texts = Object.entries({ kind, name, uid }).flatMap(([key, value]) =>
    value ? [] : [invalidValue(`${field}.${key}`, value ?? '', 'must not be empty')],
  );
  return [...version, ...texts];
}

function finalizerCauses(name: string): Causes {
  const field = 'metadata.finalizers';
  const syntax = invalidEach(field, name, qualifiedName(name));
  if (syntax.length > 0 || name.includes('/') || STANDARD_FINALIZERS.includes(name)) return syntax;
  return [
    invalidValue(
      field,
      name,
      'name is neither a standard finalizer name nor is it fully qualified',
    ),
  ];
}

/** What the environment of a container must be. */

import {
  type Causes,
  invalidEach,
  invalidValue,
  notFoundValue,
  notSupported,
  required,
  requiredName,
} from '../field-errors.ts';
import type { EnvFromSource, EnvVar, FileKeySelector, Volume } from '../generated/types.ts';
import { configKey, dnsSubdomain, envName } from '../names.ts';

const FIELD_PATHS = [
  'metadata.annotations',
  'metadata.labels',
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
];
const RESOURCES = [
  'limits.cpu',
  'limits.ephemeral-storage',
  'limits.memory',
  'requests.cpu',
  'requests.ephemeral-storage',
  'requests.memory',
];

type Volumes = ReadonlyMap<string, Volume>;

/** Everything that is wrong with one variable; `volumes` are the pod's, by name. */
export function envCauses(
  { name, value, valueFrom }: EnvVar,
  path: string,
  volumes: Volumes,
): Causes {
  const named = requiredName(`${path}.name`, name, envName);
  if (!valueFrom) return named;
  const at = `${path}.valueFrom`;
  const sources = Object.values(valueFrom).filter(
    (source) => source !== undefined && source !== null,
  );
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef, fileKeyRef } = valueFrom;
  return [
    ...named,
    ...(value ? [invalidValue(at, '', 'may not be specified when `value` is not empty')] : []),
    ...(sources.length === 1
      ? []
      : [
          invalidValue(
            at,
            '',
            sources.length === 0
              ? 'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`'
              : 'may not have more than one field specified at a time',
          ),
        ]),
    ...(fieldRef ? fieldRefCauses(fieldRef.fieldPath, `${at}.fieldRef.fieldPath`) : []),
    ...(resourceFieldRef
      ? resourceFieldCauses(resourceFieldRef.resource, `${at}.resourceFieldRef.resource`)
      : []),
    ...keyCauses(configMapKeyRef, `${at}.configMapKeyRef`),
    ...keyCauses(secretKeyRef, `${at}.secretKeyRef`),
    ...(fileKeyRef ? fileCauses(fileKeyRef, `${at}.fileKeyRef`, volumes) : []),
  ];
}

function fieldRefCauses(fieldPath: string | undefined, path: string): Causes {
  if (!fieldPath) return [required(path)];
  if (/^metadata\.(?:annotations|labels)\['.+'\]$/.test(fieldPath)) return [];
  const known = FIELD_PATHS.filter(
    (name) => !name.endsWith('annotations') && !name.endsWith('labels'),
  );
  return FIELD_PATHS.includes(fieldPath) ? [] : [notSupported(path, fieldPath, known)];
}

function resourceFieldCauses(resource: string | undefined, path: string): Causes {
  if (!resource) return [required(path)];
  const isKnown = RESOURCES.includes(resource) || /^(?:limits|requests)\.hugepages-/.test(resource);
  return isKnown ? [] : [notSupported(path, resource, RESOURCES)];
}

/** The file lies in an emptyDir of the pod, and its path stays there. */
function fileCauses(ref: FileKeySelector, path: string, volumes: Volumes): Causes {
  const { volumeName, path: file, key } = ref;
  const volume = volumes.get(volumeName);
  const why = 'must be the name of an emptyDir volume';
  return [
    ...(volumeName ? [] : [required(`${path}.volumeName`)]),
    ...(volumeName && !volume ? [notFoundValue(`${path}.volumeName`, volumeName)] : []),
    ...(volume && !volume.emptyDir ? [invalidValue(`${path}.volumeName`, volumeName, why)] : []),
    ...(file ? [] : [required(`${path}.path`)]),
    ...(file?.startsWith('/')
      ? [invalidValue(`${path}.path`, file, 'must be a relative path')]
      : []),
    ...(file?.split('/').includes('..')
      ? [invalidValue(`${path}.path`, file, "must not contain '..'")]
      : []),
    ...requiredName(`${path}.key`, key, envName),
  ];
}

function keyCauses(
  ref: { readonly name?: string; readonly key: string } | undefined,
  path: string,
): Causes {
  if (!ref) return [];
  return [
    ...(ref.name
      ? invalidEach(`${path}.name`, ref.name, dnsSubdomain(ref.name))
      : [required(`${path}.name`)]),
    ...requiredName(`${path}.key`, ref.key, configKey),
  ];
}

/** Everything that is wrong with one source of variables. */
export function envFromCauses(
  { prefix, configMapRef, secretRef }: EnvFromSource,
  path: string,
): Causes {
  const isOne = Boolean(configMapRef) !== Boolean(secretRef);
  return [
    ...(prefix ? invalidEach(`${path}.prefix`, prefix, envName(prefix)) : []),
    ...(isOne
      ? []
      : [invalidValue(path, '', 'must specify one of: `configMapRef` or `secretRef`')]),
    ...(configMapRef && !configMapRef.name ? [required(`${path}.configMapRef.name`)] : []),
    ...(secretRef && !secretRef.name ? [required(`${path}.secretRef.name`)] : []),
  ];
}

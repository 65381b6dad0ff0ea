/** What a pod's volumes must be. */

import {
  type Causes,
  each,
  forbiddenField,
  invalidValue,
  oneOf,
  required,
  requiredName,
  requiredOneOf,
} from '../field-errors.ts';
import type {
  ClusterTrustBundleProjection,
  PodCertificateProjection,
  Volume,
  VolumeProjection,
} from '../generated/types.ts';
import { configKey, dnsLabel } from '../names.ts';
import { expirationCauses } from './pod-certificates.ts';
import { oneQuantity } from './quantity-validation.ts';
import { signerCauses } from './signer-names.ts';

const MODE_MAX = 0o777;
const MODE_WHY = 'must be a number between 0 and 0777 (octal), both inclusive';
const TOKEN_MIN_SECONDS = 600;
const HOST_PATH_TYPES = [
  '',
  'BlockDevice',
  'CharDevice',
  'Directory',
  'DirectoryOrCreate',
  'File',
  'FileOrCreate',
  'Socket',
];

/** Everything that is wrong with one volume. */
export function validateVolume(volume: Volume, path: string): Causes {
  const sources = Object.keys(volume).filter((key) => key !== 'name');
  return [
    ...requiredName(`${path}.name`, volume.name, dnsLabel),
    ...(sources.length === 0 ? [required(path, 'must specify a volume type')] : []),
    ...sources
      .slice(1)
      .map((source) =>
        forbiddenField(`${path}.${source}`, 'may not specify more than 1 volume type'),
      ),
    ...sourceCauses(volume, path),
  ];
}

function sourceCauses(volume: Volume, path: string): Causes {
  const {
    emptyDir,
    hostPath,
    configMap,
    secret,
    persistentVolumeClaim: claim,
    projected,
    downwardAPI,
    nfs,
    image,
  } = volume;
  return [
    ...(emptyDir?.sizeLimit === undefined
      ? []
      : oneQuantity(`${path}.emptyDir.sizeLimit`, emptyDir.sizeLimit)),
    ...(hostPath ? pathCauses(hostPath.path, `${path}.hostPath.path`) : []),
    ...oneOf(`${path}.hostPath.type`, hostPath?.type, HOST_PATH_TYPES),
    ...(configMap ? filesCauses(configMap, `${path}.configMap`, configMap.name, 'name') : []),
    ...(secret ? filesCauses(secret, `${path}.secret`, secret.secretName, 'secretName') : []),
    ...(claim && !claim.claimName ? [required(`${path}.persistentVolumeClaim.claimName`)] : []),
    ...(projected ? modeCauses(projected.defaultMode, `${path}.projected.defaultMode`) : []),
    ...each(`${path}.projected.sources`, projected?.sources, projectionCauses),
    ...(downwardAPI ? modeCauses(downwardAPI.defaultMode, `${path}.downwardAPI.defaultMode`) : []),
    ...each(`${path}.downwardAPI`, downwardAPI?.items, fileCauses),
    ...oneOf(`${path}.image.pullPolicy`, image?.pullPolicy, ['Always', 'IfNotPresent', 'Never']),
    ...(nfs && !nfs.server ? [required(`${path}.nfs.server`)] : []),
    ...(nfs && !nfs.path ? [required(`${path}.nfs.path`)] : []),
  ];
}

function pathCauses(value: string | undefined, path: string): Causes {
  if (!value) return [required(path)];
  return value.split('/').includes('..')
    ? [invalidValue(path, value, "must not contain '..'")]
    : [];
}

interface Files {
  readonly defaultMode?: number;
  readonly items?: readonly {
    readonly key: string;
    readonly path: string;
    readonly mode?: number;
  }[];
}

function filesCauses(files: Files, path: string, name: string | undefined, field: string): Causes {
  return [
    ...(name ? [] : [required(`${path}.${field}`)]),
    ...modeCauses(files.defaultMode, `${path}.defaultMode`),
    ...itemsCauses(files.items, path),
  ];
}

function itemsCauses(items: Files['items'], path: string): Causes {
  return each(`${path}.items`, items, ({ key, path: file, mode }, at) => [
    ...requiredName(`${at}.key`, key, configKey),
    ...relativeCauses(file, `${at}.path`),
    ...modeCauses(mode, `${at}.mode`),
  ]);
}

function modeCauses(mode: number | undefined, path: string): Causes {
  return mode === undefined || (mode >= 0 && mode <= MODE_MAX)
    ? []
    : [invalidValue(path, mode, MODE_WHY)];
}

function relativeCauses(file: string | undefined, path: string): Causes {
  if (!file) return [required(path)];
  if (file.startsWith('/')) return [invalidValue(path, file, 'must be a relative path')];
  return file.split('/').includes('..') ? [invalidValue(path, file, "must not contain '..'")] : [];
}

type File = NonNullable<NonNullable<Volume['downwardAPI']>['items']>[number];

function fileCauses({ path: file, fieldRef, resourceFieldRef, mode }: File, path: string): Causes {
  const isOne = Boolean(fieldRef) !== Boolean(resourceFieldRef);
  return [
    ...relativeCauses(file, `${path}.path`),
    ...(isOne ? [] : [required(path, 'one of fieldRef and resourceFieldRef is required')]),
    ...modeCauses(mode, `${path}.mode`),
  ];
}

function projectionCauses(source: VolumeProjection, path: string): Causes {
  const { configMap, secret, downwardAPI, serviceAccountToken: token } = source;
  const { clusterTrustBundle: bundle, podCertificate: certificate } = source;
  const given = Object.keys(source);
  const seconds = token?.expirationSeconds;
  const isShort = seconds !== undefined && seconds < TOKEN_MIN_SECONDS;
  return [
    ...given
      .slice(1)
      .map((name) =>
        forbiddenField(`${path}.${name}`, 'may not specify more than 1 volume type per source'),
      ),
    ...(configMap && !configMap.name ? [required(`${path}.configMap.name`)] : []),
    ...itemsCauses(configMap?.items, `${path}.configMap`),
    ...(secret && !secret.name ? [required(`${path}.secret.name`)] : []),
    ...itemsCauses(secret?.items, `${path}.secret`),
    ...each(`${path}.downwardAPI`, downwardAPI?.items, fileCauses),
    ...(token ? relativeCauses(token.path, `${path}.serviceAccountToken.path`) : []),
    ...(bundle ? bundleCauses(bundle, `${path}.clusterTrustBundle`) : []),
    ...(certificate ? certificateCauses(certificate, `${path}.podCertificate`) : []),
    ...(isShort
      ? [
          invalidValue(
            `${path}.serviceAccountToken.expirationSeconds`,
            seconds,
            'may not specify a duration less than 10 minutes',
          ),
        ]
      : []),
  ];
}

function bundleCauses(source: ClusterTrustBundleProjection, path: string): Causes {
  const { name, signerName, labelSelector } = source;
  const why =
    name !== undefined && signerName !== undefined
      ? 'only one of name and signerName may be used'
      : name !== undefined && labelSelector !== undefined
        ? 'labelSelector must be unset when name is specified'
        : undefined;
  return [
    ...relativeCauses(source.path, `${path}.path`),
    ...(why ? [invalidValue(path, source, why)] : []),
    ...(name === undefined && signerName === undefined
      ? [required(path, 'either name or signerName must be specified')]
      : []),
    ...(name === '' ? [required(`${path}.name`, 'must be a valid object name')] : []),
    ...(signerName === undefined ? [] : signerCauses(`${path}.signerName`, signerName)),
  ];
}

const KEY_TYPES = ['ECDSAP256', 'ECDSAP384', 'ECDSAP521', 'ED25519', 'RSA3072', 'RSA4096'];

function certificateCauses(source: PodCertificateProjection, path: string): Causes {
  const files = ['credentialBundlePath', 'keyPath', 'certificateChainPath'] as const;
  const given = files.filter((key) => source[key]);
  return [
    ...signerCauses(`${path}.signerName`, source.signerName),
    ...requiredOneOf(`${path}.keyType`, source.keyType, KEY_TYPES),
    ...expirationCauses(`${path}.maxExpirationSeconds`, source.maxExpirationSeconds),
    ...(given.length === 0
      ? [
          required(
            path,
            'specify at least one of credentialBundlePath, keyPath, and certificateChainPath',
          ),
        ]
      : []),
    ...given.flatMap((key) => relativeCauses(source[key], `${path}.${key}`)),
  ];
}

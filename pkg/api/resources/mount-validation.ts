/** What a container's use of its pod's volumes must be: mounted as directories, or mapped as devices. */

import {
  type Causes,
  each,
  forbiddenField,
  invalidValue,
  notFoundValue,
  oneOf,
  required,
} from '../field-errors.ts';
import type { Container, Volume, VolumeMount } from '../generated/types.ts';

export interface MountContext {
  /** The pod's volumes by name. */
  readonly volumes: ReadonlyMap<string, Volume>;
}

/** What is wrong with a container's volumeMounts. */
export function mountCauses(
  { volumeMounts, securityContext }: Container,
  field: string,
  { volumes }: MountContext,
): Causes {
  const paths = new Set<string>();
  const isPrivileged = securityContext?.privileged === true;
  return each(field, volumeMounts, (mount, path) => {
    const { name, mountPath } = mount;
    const isTaken = paths.has(mountPath);
    paths.add(mountPath);
    return [
      ...(name ? [] : [required(`${path}.name`)]),
      ...(name && !volumes.has(name) ? [notFoundValue(`${path}.name`, name)] : []),
      ...(mountPath ? [] : [required(`${path}.mountPath`)]),
      ...(mountPath && isTaken
        ? [invalidValue(`${path}.mountPath`, mountPath, 'must be unique')]
        : []),
      ...subPathsCauses(mount, path),
      ...propagationCauses(mount, `${path}.mountPropagation`, isPrivileged),
      ...recursiveCauses(mount, `${path}.recursiveReadOnly`),
    ];
  });
}

function propagationCauses(
  { mountPropagation }: VolumeMount,
  path: string,
  isPrivileged: boolean,
): Causes {
  const onlyPrivileged =
    'Bidirectional mount propagation is available only to privileged containers';
  return [
    ...oneOf(path, mountPropagation, ['Bidirectional', 'HostToContainer', 'None']),
    ...(mountPropagation === 'Bidirectional' && !isPrivileged
      ? [forbiddenField(path, onlyPrivileged)]
      : []),
  ];
}

function recursiveCauses(
  { recursiveReadOnly, readOnly, mountPropagation = 'None' }: VolumeMount,
  path: string,
): Causes {
  const only = (isIt: boolean, when: string) =>
    isIt ? [] : [forbiddenField(path, `may only be specified when ${when}`)];
  return [
    ...oneOf(path, recursiveReadOnly, ['Disabled', 'Enabled', 'IfPossible']),
    ...(recursiveReadOnly === 'Enabled' || recursiveReadOnly === 'IfPossible'
      ? [
          ...only(readOnly === true, 'readOnly is true'),
          ...only(mountPropagation === 'None', 'mountPropagation is None or not specified'),
        ]
      : []),
  ];
}

function subPathsCauses({ subPath, subPathExpr }: VolumeMount, path: string): Causes {
  const both = 'subPathExpr and subPath are mutually exclusive';
  return [
    ...(subPath ? subPathCauses(`${path}.subPath`, subPath) : []),
    ...(subPathExpr ? subPathCauses(`${path}.subPathExpr`, subPathExpr) : []),
    ...(subPath && subPathExpr ? [invalidValue(`${path}.subPathExpr`, subPathExpr, both)] : []),
  ];
}

function subPathCauses(path: string, value: string): Causes {
  return [
    ...(value.startsWith('/') ? [invalidValue(path, value, 'must be a relative path')] : []),
    ...(value.split('/').includes('..')
      ? [invalidValue(path, value, "must not contain '..'")]
      : []),
  ];
}

/** What is wrong with a container's volumeDevices. */
export function deviceCauses(
  { volumeDevices, volumeMounts = [] }: Container,
  field: string,
  { volumes }: MountContext,
): Causes {
  const names = new Set<string>();
  const paths = new Set<string>();
  return each(field, volumeDevices, ({ name, devicePath }, path) => {
    const invalid = (key: 'name' | 'devicePath', isWrong: boolean, why: string) =>
      isWrong ? [invalidValue(`${path}.${key}`, key === 'name' ? name : devicePath, why)] : [];
    const { persistentVolumeClaim, ephemeral } = volumes.get(name) ?? {};
    const isClaim = (persistentVolumeClaim ?? ephemeral) !== undefined;
    const kinds = 'PersistentVolumeClaim or Ephemeral';
    const found = [
      ...(name ? [] : [required(`${path}.name`)]),
      ...invalid('name', names.has(name), 'must be unique'),
      ...invalid(
        'name',
        volumes.has(name) && !isClaim,
        `can only use volume source type of ${kinds} for block mode`,
      ),
      ...(volumes.has(name) ? [] : [notFoundValue(`${path}.name`, name)]),
      ...(devicePath ? [] : [required(`${path}.devicePath`)]),
      ...invalid('devicePath', paths.has(devicePath), 'must be unique'),
      ...invalid(
        'devicePath',
        devicePath.split('/').includes('..'),
        "can not contain backsteps ('..')",
      ),
      ...invalid(
        'name',
        volumeMounts.some((mount) => mount.name === name),
        'must not already exist in volumeMounts',
      ),
      ...invalid(
        'devicePath',
        volumeMounts.some(({ mountPath }) => mountPath === devicePath),
        'must not already exist as a path in volumeMounts',
      ),
    ];
    names.add(name);
    paths.add(devicePath);
    return found;
  });
}

/** What a container's use of its pod's volumes must be: mounted as directories, or mapped as devices. */

import {
  type Causes,
  each,
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
  mounts: readonly VolumeMount[] | undefined,
  field: string,
  { volumes }: MountContext,
): Causes {
  const paths = new Set<string>();
  return each(field, mounts, (mount, path) => {
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
      ...oneOf(`${path}.mountPropagation`, mount.mountPropagation, [
        'Bidirectional',
        'HostToContainer',
        'None',
      ]),
    ];
  });
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

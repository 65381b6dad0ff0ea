/** The block volumes of one container, as devices. */

import { normalize } from 'node:path';
import type { Container, Pod } from '../../api/generated/types.ts';
import type { Device } from '../../engine/engine.ts';
import { ConfigError } from '../pod/start-error.ts';

export interface DeviceFacts {
  readonly pod: Pod;
  readonly container: Container;
  /** Device of each block volume by name. */
  readonly volumes: ReadonlyMap<string, string>;
}

/** Throws a ConfigError when one is not there. */
export function containerDevices({ pod, container, volumes }: DeviceFacts): readonly Device[] {
  return (container.volumeDevices ?? []).map(({ name, devicePath }) => {
    const source = volumes.get(name);
    if (source === undefined) throw new ConfigError(`volume "${name}" of container is not there`);
    const volume = pod.spec.volumes?.find((each) => each.name === name);
    const isReadOnly = volume?.persistentVolumeClaim?.readOnly === true;
    return { source, destination: normalize(`/${devicePath}`), isReadOnly };
  });
}

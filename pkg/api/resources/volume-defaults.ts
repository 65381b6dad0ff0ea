/** Defaults of a pod's volumes. Source: kubernetes pkg/apis/core/v1/defaults.go. */

import { change, each, fill } from '../defaulting.ts';
import type { DownwardAPIVolumeFile, Volume, VolumeProjection } from '../generated/types.ts';
import { DEFAULT_CERTIFICATE_SECONDS } from './pod-certificates.ts';

/** 0644. */
const FILE_MODE = 420;
const TOKEN_SECONDS = 3600;

const SOURCES_WITHOUT_VOLUME = ['name'];

function fileDefaults(file: DownwardAPIVolumeFile): DownwardAPIVolumeFile {
  return change(file, {
    fieldRef: (ref) => fill(ref, { apiVersion: 'v1' }),
    resourceFieldRef: (ref) => fill(ref, { divisor: '0' }),
  });
}

function projectionDefaults(source: VolumeProjection): VolumeProjection {
  return change(source, {
    serviceAccountToken: (token) => fill(token, { expirationSeconds: TOKEN_SECONDS }),
    downwardAPI: (downward) => change(downward, { items: each(fileDefaults) }),
    podCertificate: (certificate) =>
      fill(certificate, { maxExpirationSeconds: DEFAULT_CERTIFICATE_SECONDS }),
  });
}

/** A volume without a source is an emptyDir. */
export function volumeDefaults(volume: Volume): Volume {
  const hasSource = Object.keys(volume).some((key) => !SOURCES_WITHOUT_VOLUME.includes(key));
  const sourced = hasSource ? volume : { ...volume, emptyDir: {} };
  return change(sourced, {
    secret: (secret) => fill(secret, { defaultMode: FILE_MODE }),
    configMap: (map) => fill(map, { defaultMode: FILE_MODE }),
    downwardAPI: (downward) =>
      change(fill(downward, { defaultMode: FILE_MODE }), { items: each(fileDefaults) }),
    projected: (projected) =>
      change(fill(projected, { defaultMode: FILE_MODE }), { sources: each(projectionDefaults) }),
    hostPath: (path) => fill(path, { type: '' }),
    ephemeral: (ephemeral) =>
      change(ephemeral, {
        volumeClaimTemplate: (template) =>
          change(template, { spec: (spec) => fill(spec, { volumeMode: 'Filesystem' }) }),
      }),
    iscsi: (iscsi) => fill(iscsi, { iscsiInterface: 'default' }),
    rbd: (rbd) => fill(rbd, { pool: 'rbd', user: 'admin', keyring: '/etc/ceph/keyring' }),
    azureDisk: (disk) =>
      fill(disk, { cachingMode: 'ReadWrite', kind: 'Shared', fsType: 'ext4', readOnly: false }),
    scaleIO: (scale) => fill(scale, { storageMode: 'ThinProvisioned', fsType: 'xfs' }),
  });
}

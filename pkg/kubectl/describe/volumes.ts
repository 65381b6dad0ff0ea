/** Volumes of a pod or of a template. */

import type { Volume } from '../../api/generated/types.ts';

/** The section of the volumes. */
export function volumeLines(volumes: readonly Volume[] = [], indent = ''): string {
  if (volumes.length === 0)
    return indent === '' ? 'Volumes:\t<none>\n' : `${indent}Volumes:\t<none>\n`;
  const each = volumes.map((volume) => {
    const lines = sourceLines(volume).map((line) => `    ${line}\n`);
    return `${indent}${indent === '' ? '  ' : ' '}${volume.name}:\n${lines.join('')}`;
  });
  return `${indent}Volumes:\n${each.join('')}`;
}

function sourceLines(volume: Volume): readonly string[] {
  const { emptyDir, hostPath, configMap, secret, persistentVolumeClaim: claim, projected } = volume;
  if (emptyDir)
    return [
      "Type:\tEmptyDir (a temporary directory that shares a pod's lifetime)",
      `Medium:\t${emptyDir.medium ?? ''}`,
      `SizeLimit:\t${emptyDir.sizeLimit ?? '<unset>'}`,
    ];
  if (hostPath)
    return [
      'Type:\tHostPath (bare host directory volume)',
      `Path:\t${hostPath.path}`,
      `HostPathType:\t${hostPath.type ?? ''}`,
    ];
  if (configMap)
    return [
      'Type:\tConfigMap (a volume populated by a ConfigMap)',
      `Name:\t${configMap.name ?? ''}`,
      `Optional:\t${configMap.optional ?? false}`,
    ];
  if (secret)
    return [
      'Type:\tSecret (a volume populated by a Secret)',
      `SecretName:\t${secret.secretName ?? ''}`,
      `Optional:\t${secret.optional ?? false}`,
    ];
  if (claim)
    return [
      'Type:\tPersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)',
      `ClaimName:\t${claim.claimName}`,
      `ReadOnly:\t${claim.readOnly ?? false}`,
    ];
  if (projected) return projectedLines(projected);
  const [type = 'unknown'] = Object.keys(volume).filter((key) => key !== 'name');
  return [`Type:\t${type}`];
}

function projectedLines({ sources = [] }: NonNullable<Volume['projected']>): readonly string[] {
  const lines = ['Type:\tProjected (a volume that contains injected data from multiple sources)'];
  for (const { secret, configMap, downwardAPI, serviceAccountToken } of sources) {
    if (secret)
      lines.push(`SecretName:\t${secret.name ?? ''}`, `Optional:\t${secret.optional ?? false}`);
    else if (downwardAPI) lines.push('DownwardAPI:\ttrue');
    else if (configMap)
      lines.push(
        `ConfigMapName:\t${configMap.name ?? ''}`,
        `Optional:\t${configMap.optional ?? false}`,
      );
    else if (serviceAccountToken)
      lines.push(`TokenExpirationSeconds:\t${serviceAccountToken.expirationSeconds ?? 3600}`);
  }
  return lines;
}

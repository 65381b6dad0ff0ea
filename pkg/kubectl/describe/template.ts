/** Pod templates, as deployments and replica sets describe them, and where pods may run. */

import type { PodSpec, PodTemplateSpec, Toleration } from '../../api/generated/types.ts';
import { containerLines } from './containers.ts';
import { annotationLines, labelLines, listLines } from './text.ts';
import { volumeLines } from './volumes.ts';

/** The section without its alignment. */
export function templateLines({ metadata, spec }: PodTemplateSpec): string {
  const annotations = metadata?.annotations ?? {};
  return [
    'Pod Template:\n',
    `  ${labelLines('Labels', metadata?.labels)}`,
    Object.keys(annotations).length > 0 ? `  ${annotationLines(annotations)}` : '',
    spec?.serviceAccountName ? `  Service Account:\t${spec.serviceAccountName}\n` : '',
    containerLines({ title: 'Init Containers', containers: spec?.initContainers, indent: '  ' }),
    containerLines({ title: 'Containers', containers: spec?.containers, indent: '  ' }),
    volumeLines(spec?.volumes, '  '),
    spec ? placementLines(spec, '  ') : '',
  ].join('');
}

/** Node selectors and tolerations. */
export function placementLines(
  { nodeSelector, tolerations = [] }: Pick<PodSpec, 'nodeSelector' | 'tolerations'>,
  indent: string,
): string {
  return `${indent}${labelLines('Node-Selectors', nodeSelector)}${indent}${listLines('Tolerations', tolerations.map(tolerationText).sort())}`;
}

function tolerationText({
  key = '',
  value = '',
  effect = '',
  operator,
  tolerationSeconds,
}: Toleration): string {
  const pair = value ? `${key}=${value}` : key;
  const where = effect ? `${pair ? ':' : ''}${effect}` : '';
  const op = operator === 'Exists' && !value ? ' op=Exists' : '';
  const time = tolerationSeconds === undefined ? '' : ` for ${tolerationSeconds}s`;
  return `${pair}${where}${op}${time}`.trimStart();
}

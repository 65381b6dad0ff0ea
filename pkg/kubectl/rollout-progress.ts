/** How far a deployment's rollout has come, in kubectl's words. Source: kubectl pkg/polymorphichelpers/rollout_status.go. */

import type { Deployment } from '../api/generated/types.ts';
import { KubectlError } from './kubectl-error.ts';

export const REVISION = 'deployment.kubernetes.io/revision';

/** What to print, and whether it is over. Throws a KubectlError when the deployment has given up. */
export function rolloutProgress(
  { metadata, spec, status = {} }: Deployment,
  revision: number,
): { readonly text: string; readonly isDone: boolean } {
  const { name, generation = 0, annotations = {} } = metadata;
  if (revision > 0 && Number(annotations[REVISION]) !== revision)
    throw new KubectlError(
      `desired revision (${revision}) is different from the running revision (${annotations[REVISION] ?? 0})`,
    );
  if ((status.observedGeneration ?? 0) < generation)
    return going('Waiting for deployment spec update to be observed...');
  const progressing = status.conditions?.find(({ type }) => type === 'Progressing');
  if (progressing?.reason === 'ProgressDeadlineExceeded')
    throw new KubectlError(`deployment "${name}" exceeded its progress deadline`);
  const { replicas = 0, updatedReplicas: updated = 0, availableReplicas: available = 0 } = status;
  const wanted = spec.replicas ?? 1;
  const waiting = `Waiting for deployment "${name}" rollout to finish`;
  if (updated < wanted)
    return going(`${waiting}: ${updated} out of ${wanted} new replicas have been updated...`);
  if (replicas > updated)
    return going(`${waiting}: ${replicas - updated} old replicas are pending termination...`);
  if (available < updated)
    return going(`${waiting}: ${available} of ${updated} updated replicas are available...`);
  return { text: `deployment "${name}" successfully rolled out\n`, isDone: true };
}

function going(text: string) {
  return { text: `${text}\n`, isDone: false };
}

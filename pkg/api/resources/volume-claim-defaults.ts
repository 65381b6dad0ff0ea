/** Defaults of claims, for themselves and as templates of StatefulSets. */

import { change, fill } from '../defaulting.ts';
import type { PersistentVolumeClaim } from '../generated/types.ts';
import { quantityDefaults } from './pod-defaults.ts';

type Claim = Pick<PersistentVolumeClaim, 'spec' | 'status'>;

/** Defaults of a PersistentVolumeClaim or of a template of one. */
export function claimDefaults<T extends Claim>(claim: T): T {
  const body = bodyDefaults(claim);
  return body === claim ? claim : { ...claim, ...body };
}

function bodyDefaults(claim: Claim): Claim {
  return change(fill(claim, { status: {} }), {
    status: (status) => fill(status, { phase: 'Pending' }),
    spec: (spec) =>
      change(fill(spec, { volumeMode: 'Filesystem' }), {
        resources: (resources) =>
          change(resources, { limits: quantityDefaults, requests: quantityDefaults }),
      }),
  });
}

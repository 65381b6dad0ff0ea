/** Runs the admission plug-ins over one write, in table order. */

import type { ApiObject } from '../api/meta.ts';
import type { AdmissionRequest } from './contract.ts';
import type { Call, Parts } from './parts.ts';

export type Admit = (
  operation: AdmissionRequest['operation'],
  objects: { readonly object: ApiObject | undefined; readonly old: ApiObject | undefined },
) => Promise<ApiObject | undefined>;

/** The admission of one call. It resolves to the object as the plug-ins left it. */
export function admission(parts: Parts, call: Call, isDryRun: boolean): Admit {
  const { trailing: _trailing, ...attributes } = call.route;
  return async (operation, { object, old }) => {
    let current = object;
    for (const plugin of parts.admissions) {
      current = await plugin.admit({
        ...attributes,
        operation,
        object: current,
        old,
        isDryRun,
        registry: parts.registry,
      });
    }
    return current;
  };
}

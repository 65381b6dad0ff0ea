/** Quantities and maps of resources inside objects. */

import { type Causes, invalidValue } from '../field-errors.ts';
import type { ResourceRequirements } from '../generated/types.ts';
import { qualifiedName } from '../names.ts';
import { compareQuantities, parseQuantity, QuantityError } from '../quantity.ts';

type Quantities = Readonly<Record<string, string | number>> | undefined;

/** Every value is a quantity and none is negative. */
export function quantityCauses(field: string, list: Quantities): Causes {
  return Object.entries(list ?? {}).flatMap(([name, value]) =>
    oneQuantity(`${field}[${name}]`, value),
  );
}

/** The value is a quantity and not negative. */
export function oneQuantity(field: string, value: string | number): Causes {
  try {
    return parseQuantity(value).nanos < 0n
      ? [invalidValue(field, String(value), 'must be greater than or equal to 0')]
      : [];
  } catch (error) {
    if (error instanceof QuantityError) return [invalidValue(field, value, error.message)];
    throw error;
  }
}

/** Limits and requests of a container: known names, quantities, and no request above its limit. */
export function resourceCauses(field: string, resources: ResourceRequirements | undefined): Causes {
  const { limits, requests } = resources ?? {};
  const syntax = [
    ...nameCauses(`${field}.limits`, limits),
    ...nameCauses(`${field}.requests`, requests),
    ...quantityCauses(`${field}.limits`, limits),
    ...quantityCauses(`${field}.requests`, requests),
  ];
  if (syntax.length > 0) return syntax;
  return Object.entries(requests ?? {}).flatMap(([name, request]) => {
    const limit = limits?.[name];
    if (isOwnedWhole(name) && limit !== undefined && compareQuantities(request, limit) !== 0) {
      return [
        invalidValue(`${field}.requests`, request, `must be equal to ${name} limit of ${limit}`),
      ];
    }
    return limit !== undefined && compareQuantities(request, limit) > 0
      ? [
          invalidValue(
            `${field}.requests`,
            request,
            `must be less than or equal to ${name} limit of ${limit}`,
          ),
        ]
      : [];
  });
}

/** Devices and huge pages cannot be overcommitted. */
function isOwnedWhole(name: string): boolean {
  return name.startsWith('hugepages-') || (name.includes('/') && !name.includes('kubernetes.io/'));
}

const STANDARD = ['cpu', 'memory', 'ephemeral-storage'];

function nameCauses(field: string, list: Quantities): Causes {
  return Object.keys(list ?? {}).flatMap((name) => {
    const path = `${field}[${name}]`;
    const why = qualifiedName(name);
    if (why.length > 0) return why.map((detail) => invalidValue(path, name, detail));
    if (name.includes('/') || STANDARD.includes(name) || name.startsWith('hugepages-')) return [];
    return [invalidValue(path, name, 'must be a standard resource for containers')];
  });
}

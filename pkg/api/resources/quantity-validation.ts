/** Quantities and maps of resources inside objects. */

import { type Causes, forbiddenField, invalidValue, required } from '../field-errors.ts';
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

/** What comes in pieces is asked for in whole ones: devices, huge pages of their size. */
function wholeCauses(field: string, list: Quantities): Causes {
  return Object.entries(list ?? {}).flatMap(([name, value]) => {
    const path = `${field}[${name}]`;
    const { nanos } = parseQuantity(value);
    if (!name.startsWith(HUGE_PAGES)) {
      const isWhole = !isOwnedWhole(name) || nanos % WHOLE === 0n;
      return isWhole ? [] : [invalidValue(path, value, 'must be an integer')];
    }
    const why = `is not positive integer multiple of ${name}`;
    const page = pageNanos(name);
    if (page === undefined)
      return [invalidValue(path, name, 'resource name has no valid page size')];
    return nanos % page === 0n ? [] : [invalidValue(path, value, why)];
  });
}

const WHOLE = parseQuantity(1).nanos;

/** The size that a resource of huge pages is named after; undefined when its name has none. */
function pageNanos(name: string): bigint | undefined {
  try {
    const { nanos } = parseQuantity(name.slice(HUGE_PAGES.length));
    return nanos > 0n ? nanos : undefined;
  } catch (error) {
    if (error instanceof QuantityError) return undefined;
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
  const whole = [
    ...wholeCauses(`${field}.limits`, limits),
    ...wholeCauses(`${field}.requests`, requests),
  ];
  if (whole.length > 0) return whole;
  return requestCauses(field, resources);
}

/** No request is above its limit, and what cannot be overcommitted has both, and the same. */
function requestCauses(field: string, { limits, requests }: ResourceRequirements = {}): Causes {
  return Object.entries(requests ?? {}).flatMap(([name, request]) => {
    const limit = limits?.[name];
    if (isOwnedWhole(name) && limit === undefined)
      return [required(`${field}.limits`, 'Limit must be set for non overcommitable resources')];
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
  return name.startsWith(HUGE_PAGES) || (name.includes('/') && !name.includes('kubernetes.io/'));
}

/** Pages are whole, and a pod that asks for nothing but them would be of the lowest class. */
export function hugePageCauses(
  field: string,
  { limits, requests }: ResourceRequirements = {},
): Causes {
  const names = Object.keys({ ...limits, ...requests });
  const hasHugePages = names.some((name) => name.startsWith(HUGE_PAGES));
  if (!hasHugePages || names.includes('cpu') || names.includes('memory')) return [];
  return [forbiddenField(field, 'HugePages require cpu or memory')];
}

const HUGE_PAGES = 'hugepages-';
const STANDARD = ['cpu', 'memory', 'ephemeral-storage'];

function nameCauses(field: string, list: Quantities): Causes {
  return Object.keys(list ?? {}).flatMap((name) => {
    const path = `${field}[${name}]`;
    const why = qualifiedName(name);
    if (why.length > 0) return why.map((detail) => invalidValue(path, name, detail));
    if (name.includes('/') || STANDARD.includes(name) || name.startsWith(HUGE_PAGES)) return [];
    return [invalidValue(path, name, 'must be a standard resource for containers')];
  });
}

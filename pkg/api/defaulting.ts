/**
 * How defaults are written: functions that return the same object when nothing was missing, and else a new one
 * that shares the rest.
 */

/** The object with those fields set that it lacks (absent or null). */
export function fill<T extends object>(object: T, missing: Partial<T>): T {
  let result = object;
  for (const key in missing) {
    if (object[key] === undefined || object[key] === null) {
      result = result === object ? { ...object } : result;
      Object.assign(result, { [key]: missing[key] });
    }
  }
  return result;
}

type Changes<T> = { readonly [K in keyof T]?: (value: NonNullable<T[K]>) => T[K] };

/** The object with each named field that is present put through its function. */
export function change<T extends object>(object: T, changes: Changes<T>): T {
  let result = object;
  for (const key in changes) {
    const value = object[key];
    const make = changes[key];
    if (value === undefined || value === null || make === undefined) continue;
    const next = make(value);
    if (next === value) continue;
    result = result === object ? { ...object } : result;
    result[key] = next;
  }
  return result;
}

/** The same function for each item of a list; the same list when no item changed. */
export function each<T>(make: (item: T) => T): (list: readonly T[]) => readonly T[] {
  return (list) => {
    const next = list.map(make);
    return next.some((item, index) => item !== list[index]) ? next : list;
  };
}

/** The object without these fields; the same one when it has none of them. */
export function without<T extends object, K extends keyof T>(object: T, ...keys: readonly K[]): T {
  if (!keys.some((key) => key in object)) return object;
  const copy = { ...object };
  for (const key of keys) delete copy[key];
  return copy;
}

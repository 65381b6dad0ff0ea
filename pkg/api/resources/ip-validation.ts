/** Addresses and ranges inside objects. */

import { isIP } from 'node:net';
import { type Causes, invalidValue } from '../field-errors.ts';

const NOT_A_RANGE = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)';

/** One line for a range that is none. */
export function cidrCauses(field: string, value: string): Causes {
  const [address = '', bits = '', ...more] = value.split('/');
  const version = isIP(address);
  const max = version === 4 ? 32 : 128;
  const isValid =
    version !== 0 && more.length === 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= max;
  return isValid ? [] : [invalidValue(field, value, NOT_A_RANGE)];
}

/** The name of an IPAddress is the address. */
export function ipName(name: string): readonly string[] {
  return isIP(name) ? [] : ['must be a valid IP address in canonical form'];
}

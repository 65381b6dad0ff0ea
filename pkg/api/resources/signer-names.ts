/** Names of whoever signs certificates. */

import { type Causes, invalidValue, required } from '../field-errors.ts';

/** What is wrong with a signer's name, which is given. */
export function signerCauses(field: string, signer: string | undefined): Causes {
  if (!signer) return [required(field)];
  const [domain = '', path = '', ...more] = signer.split('/');
  const isValid = domain.includes('.') && path !== '' && more.length === 0;
  const why = 'must be a fully qualified domain and path of the form "example.com/signer-name"';
  return isValid ? [] : [invalidValue(field, signer, why)];
}

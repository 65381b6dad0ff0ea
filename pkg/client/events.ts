/**
 * Events about objects: what actors tell users of their work (`kubectl describe`, `kubectl get events`). Losing one
 * harms nobody: recording never blocks nor fails the work that it tells of.
 */

import type { ApiObject } from '../api/meta.ts';
import { systemClock } from '../wait/clock.ts';
import { EventWriter, type EventWriterOptions } from './event-writer.ts';

/** Writes core/v1 Events about an object; the same event again raises its count. Never throws. */
export interface EventRecorder {
  normal(object: ApiObject, reason: string, message: string): void;
  warning(object: ApiObject, reason: string, message: string): void;
}

export type EventRecorderOptions = Omit<EventWriterOptions, 'clock'> &
  Partial<Pick<EventWriterOptions, 'clock'>>;

/** As Kubernetes limits messages. */
const MESSAGE_MAX = 1024;

/** Makes the recorder of one component. */
export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  const writer = new EventWriter({ clock: systemClock, ...options });
  const record = (type: 'Normal' | 'Warning') => {
    return (object: ApiObject, reason: string, message: string) =>
      writer.record(object, { type, reason, message: message.slice(0, MESSAGE_MAX) });
  };
  return { normal: record('Normal'), warning: record('Warning') };
}

/** Events about objects: what actors tell users of their work (`kubectl describe`, `kubectl get events`). */

import type { ApiObject } from '../api/meta.ts';

/** Writes core/v1 Events about an object; the same event again raises its count. Never throws. */
export interface EventRecorder {
  normal(object: ApiObject, reason: string, message: string): void;
  warning(object: ApiObject, reason: string, message: string): void;
}

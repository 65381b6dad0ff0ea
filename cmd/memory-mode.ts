/**
 * V8's memory-saver mode halves what a burst leaves resident, but it collects so often that the burst itself takes half as
 * much processor time again. So it is off during a burst, and after one everything is collected once. It hears of
 * collections: an idle process has no timer.
 */

import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Clock, systemClock } from '../pkg/wait/clock.ts';

/** So many collections within WINDOW_MS are a burst. */
const BURST_COLLECTIONS = 10;
const WINDOW_MS = 1_000;
/** A burst is over once nothing was collected for so long. */
const QUIET_MS = 3_000;
/** A larger heap is not collected at once, as that would take too long. */
const COLLECT_MAX_BYTES = 256 << 20;

export interface Heap {
  /** Calls back with how many collections there were since it last did. */
  onCollections(listener: (count: number) => void): void;
  setSaving(isOn: boolean): void;
  /** Frees all that can be freed. */
  collect(): void;
}

/** Saves memory from now on, but for bursts. The returned function ends the timer that a burst has. */
export function saveMemory(clock: Clock = systemClock, heap: Heap = v8Heap): () => void {
  let windowStartMs = clock.monotonic();
  let collections = 0;
  let isBurst = false;
  let cancel = () => {};
  const awaitQuiet = (seen: number) => {
    cancel = clock.after(QUIET_MS, () => {
      if (collections !== seen) return awaitQuiet(collections);
      heap.setSaving(true);
      heap.collect();
      // What this collects is heard of later.
      windowStartMs = clock.monotonic();
      collections = 0;
      isBurst = false;
    });
  };
  heap.setSaving(true);
  heap.onCollections((count) => {
    if (!isBurst && clock.monotonic() - windowStartMs > WINDOW_MS) {
      windowStartMs = clock.monotonic();
      collections = 0;
    }
    collections += count;
    if (isBurst || collections < BURST_COLLECTIONS) return;
    isBurst = true;
    heap.setSaving(false);
    awaitQuiet(collections);
  });
  return () => cancel();
}

const v8Heap: Heap = {
  onCollections(listener) {
    const observer = new PerformanceObserver((list) => listener(list.getEntries().length));
    observer.observe({ entryTypes: ['gc'] });
  },
  setSaving(isOn) {
    setFlagsFromString(isOn ? '--memory-saver-mode' : '--no-memory-saver-mode');
  },
  collect() {
    if (getHeapStatistics().used_heap_size > COLLECT_MAX_BYTES) return;
    setFlagsFromString('--expose-gc');
    const gc: NodeJS.GCFunction = runInNewContext('gc');
    // The flavor that also gives free pages back.
    void gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  },
};

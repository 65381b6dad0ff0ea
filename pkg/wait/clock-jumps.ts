/** Notices that the wall clock was moved. Node tells nobody of it, so the two clocks are compared now and then. */

import { type Clock, systemClock } from './clock.ts';

const LOOK_MS = 10_000;
/** Less is what a time service does all day. */
export const JUMP_MIN_MS = 5_000;

export interface ClockJumpOptions {
  readonly clock?: Clock;
  /** Told by how far the clock went ahead (positive) or back (negative). */
  readonly onJump: (byMs: number) => void;
}

/** Watches until the returned function is called. */
export function watchClock({ clock = systemClock, onJump }: ClockJumpOptions): () => void {
  let offsetMs = clockOffset(clock);
  let cancel: () => void = () => undefined;
  const look = () => {
    const byMs = clockOffset(clock) - offsetMs;
    offsetMs += byMs;
    arm();
    if (Math.abs(byMs) >= JUMP_MIN_MS) onJump(byMs);
  };
  const arm = () => {
    cancel = clock.after(LOOK_MS, look);
  };
  arm();
  return () => cancel();
}

/** How far the wall clock is ahead of the monotonic one; changes only when the wall clock is moved. */
export function clockOffset(clock: Clock): number {
  return clock.now() - clock.monotonic();
}

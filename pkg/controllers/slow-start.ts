/** Creating many objects at once, carefully: 1, then 2, 4, 8 … at a time, so that a refusal costs few requests. */

/** Runs `create` `count` times in growing parallel batches; stops after the first batch with a failure. */
export async function slowStart(
  count: number,
  create: (index: number) => Promise<void>,
): Promise<{ readonly created: number; readonly error?: unknown }> {
  let done = 0;
  for (let size = 1; done < count; size *= 2) {
    const batch = Math.min(size, count - done);
    const first = done;
    const settled = await Promise.allSettled(
      Array.from({ length: batch }, (_, offset) => create(first + offset)),
    );
    done += batch;
    const failures = settled.filter((result) => result.status === 'rejected');
    if (failures.length > 0) return { created: done - failures.length, error: failures[0]?.reason };
  }
  return { created: done };
}

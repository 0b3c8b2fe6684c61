/** Whether work of a model waits, and whether this worker takes the work. */

import type { LiveStore } from '@millrace/shared/live/store';
import type { Consumer } from './consumer.ts';

/** Whether predictions of the model have entered its queue and have not left. */
export async function hasWork(live: LiveStore, model: string): Promise<boolean> {
  const { entered, left } = await live.counts(model);
  return Object.entries(entered).some(([priority, count]) => count > (left[Number(priority)] ?? 0));
}

/** Work of a model can wait for this long while this worker neither takes nor ends a job of the model. */
const IDLE_TOO_LONG_MS = 60_000;

/** Returns the reason for a restart when work waits and this worker takes none. */
export async function takesWork(consumers: readonly Consumer[], live: LiveStore): Promise<'ok' | string> {
  for (const { model, lastMoveAt, active } of consumers) {
    if (active > 0 || performance.now() - lastMoveAt < IDLE_TOO_LONG_MS) continue;
    if (await hasWork(live, model))
      return `work waits for '${model}' and none was taken for ${Math.round((performance.now() - lastMoveAt) / 1000)} s`;
  }
  return 'ok';
}

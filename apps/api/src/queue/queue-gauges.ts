import type { LiveStore } from '@millrace/shared/live/store';
import { waitingOf } from './admission.ts';

export interface QueuedDeps {
  live: Pick<LiveStore, 'counts'>;
  /** The names of the models of the default tenant. */
  models(): Promise<readonly string[]>;
}

/** The number of predictions that wait for a worker, by model. A model whose counts Redis does not return is absent. */
export async function queuedByModel({ live, models }: QueuedDeps): Promise<Map<string, number>> {
  const queued = new Map<string, number>();
  // The other metrics matter most while Redis or the registry is unavailable, so their errors end here.
  for (const model of await models().catch(() => [])) {
    const counts = await live.counts(model).catch(() => null);
    if (counts) queued.set(model, waitingOf(counts));
  }
  return queued;
}

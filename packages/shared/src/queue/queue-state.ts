/** The present state of queues: their lengths, and since when their oldest predictions wait. */
import type { Connection } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';
import { oldestHeldJob, oldestJobs } from './oldest-jobs.ts';

export interface QueueState {
  /** Waiting predictions, also predictions that a worker holds and has not started. */
  waiting: number;
  /** When the oldest waiting prediction entered the queue, Unix ms; null while no prediction waits. */
  since: number | null;
}

export interface QueueReader {
  redis: Pick<Connection, 'zrange' | 'lindex'>;
  keys: Keys;
  /** The predictions that ever entered and left the queue of a model, by priority. */
  counts(model: string): Promise<{ entered: Record<number, number>; left: Record<number, number> }>;
}

/** Queues that are read at once. */
const AT_ONCE = 20;

/** Reads the state of each queue. Rejects where Redis does not reply. */
export async function queueStates(reader: QueueReader, models: readonly string[]): Promise<Map<string, QueueState>> {
  const found = new Map<string, QueueState>();
  for (let at = 0; at < models.length; at += AT_ONCE) {
    const some = models.slice(at, at + AT_ONCE);
    const states = await Promise.all(some.map(async (model) => [model, await stateOf(reader, model)] as const));
    for (const [model, state] of states) found.set(model, state);
  }
  return found;
}

/** The state of all queues together. */
export function sumOfQueues(states: ReadonlyMap<string, QueueState>): QueueState {
  const sum: QueueState = { waiting: 0, since: null };
  for (const { waiting, since } of states.values()) {
    sum.waiting += waiting;
    if (since !== null) sum.since = Math.min(sum.since ?? since, since);
  }
  return sum;
}

async function stateOf({ redis, keys, counts }: QueueReader, model: string): Promise<QueueState> {
  const { entered, left } = await counts(model);
  const waiting = Math.max(0, sumOf(entered) - sumOf(left));
  if (waiting === 0) return { waiting, since: null };
  const queued = [...(await oldestJobs(redis, keys, model)).values()];
  const since = queued.length > 0 ? Math.min(...queued) : await oldestHeldJob(redis, keys, model);
  return { waiting, since: since ?? null };
}

const sumOf = (counts: Record<number, number>): number => Object.values(counts).reduce((sum, count) => sum + count, 0);

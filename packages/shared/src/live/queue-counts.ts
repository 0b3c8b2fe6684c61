/** The counts of a queue: how many predictions of a model ever entered and left. */
import type { Cluster, Redis } from 'ioredis';
import { shardOf } from '../predictions/ids.ts';
import type { Keys } from '../redis/keys.ts';

export interface QueueCounts {
  /** Predictions that entered and left the queue, by BullMQ priority. */
  entered: Record<number, number>;
  left: Record<number, number>;
}

const COUNTS = ['s1', 't1', 's5', 't5', 's9', 't9'] as const;

/** Reads how many predictions of the model ever entered and left its queue. */
export async function readQueueCounts(redis: Redis | Cluster, keys: Keys, model: string): Promise<QueueCounts> {
  const row = await redis.hmget(keys.queueStats(shardOf(model), model), ...COUNTS);
  return queueCounts(row.map(Number));
}

export function queueCounts(row: readonly number[]): QueueCounts {
  const [s1 = 0, t1 = 0, s5 = 0, t5 = 0, s9 = 0, t9 = 0] = row;
  return { entered: { 1: s1, 5: s5, 9: s9 }, left: { 1: t1, 5: t5, 9: t9 } };
}

/**
 * Whether every process reads outputs that are only in the ledger (ledger/staged-outputs.ts). While a process of an older version runs,
 * outputs are in the live state.
 *
 * API processes and workers that run models subscribe to channels of the registry (see bytes-support.ts). A worker that only
 * records subscribes to none: its name as a consumer of the recorder's streams says what the worker reads. Redis has the name from the first
 * entry on that the worker reads.
 *
 * An older process that nobody sees yet does not understand such a state. A process of 0.1.0 takes the prediction for queued until the
 * record. A later process discards the state, the reconciler restores the promise, and the prediction is computed again: the second output is in
 * the live state, because an opening stages one output. Nobody gets a wrong output.
 */
import { SHARDS } from '../predictions/ids.ts';
import type { Connection } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';
import { subscribersOf } from './bytes-support.ts';

const SUFFIX = '-outputs';
/** The names of stopped recorders stay in Redis. A recorder that has read no entry for this time counts as stopped. */
const STOPPED_MS = 600_000;
/** The name of a recorder in the consumer group, for a recorder that reads outputs from the ledger. */
export const outputReaderName = (workerId: string): string => `${workerId}${SUFFIX}`;

/** The consumer group of the recorders. */
export const RECORDER_GROUP = 'recorder';

/** Rejects when Redis does not respond. */
export async function allReadOutputs(redis: Connection, keys: Keys): Promise<boolean> {
  const shards = Array.from({ length: SHARDS }, (_, shard) => shard);
  const [[all = 0, readers], consumers] = await Promise.all([
    subscribersOf(redis, [keys.registryChannel(), keys.outputsChannel()]),
    Promise.all(shards.map((shard) => recordersOf(redis, keys, shard))),
  ]);
  return all > 0 && all === readers && consumers.flat().every((name) => name.endsWith(SUFFIX));
}

/** The names of the recorders that run and have read the stream of a shard. */
async function recordersOf(redis: Connection, keys: Keys, shard: number): Promise<string[]> {
  const reply: unknown = await redis.xinfo('CONSUMERS', keys.ledger(shard), RECORDER_GROUP).catch((error: Error) => {
    if (/no such key|NOGROUP/i.test(error.message)) return [];
    throw error;
  });
  const consumers = (Array.isArray(reply) ? reply : []).map(consumerIn);
  return consumers.filter(({ idle }) => idle < STOPPED_MS).map(({ name }) => name);
}

/** The reply has the names and the values of the members of each consumer. */
function consumerIn(reply: unknown): { name: string; idle: number } {
  const words = Array.isArray(reply) ? reply.map(String) : [];
  const member = (name: string) => words[words.indexOf(name) + 1] ?? '';
  return { name: member('name'), idle: Number(member('idle')) };
}

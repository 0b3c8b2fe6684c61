/**
 * Says that this worker lives, and frees what the dead hold: the job locks of a worker whose heartbeat has ended are
 * removed, and BullMQ then gives its jobs to others within a second instead of after the lock's half minute.
 */

import { SHARDS, shardOf } from '@millrace/shared/ids';
import type { Keys } from '@millrace/shared/keys';
import { sharedNow } from '@millrace/shared/postgres/clock';
import type { Connection } from '@millrace/shared/redis';
import type { Logger } from 'pino';

// KEYS: a queue's list of active jobs. ARGV: prefix of job keys, prefix of heartbeats, then workers that were silent at the
// last look. Frees the locks of those that still are; gives back how many, and who is silent now.
const FREE_LOCKS = `
local before, silent, freed = {}, {}, 0
for n = 3, #ARGV do before[ARGV[n]] = true end
for _, job in ipairs(redis.call('LRANGE', KEYS[1], 0, 4999)) do
  local lock = ARGV[1] .. job .. ':lock'
  local token = redis.call('GET', lock)
  local worker = token and string.match(token, '^([^:]+)')
  if worker and redis.call('EXISTS', ARGV[2] .. worker) == 0 then
    silent[worker] = true
    if before[worker] then
      redis.call('DEL', lock)
      freed = freed + 1
    end
  end
end
local names = {}
for worker in pairs(silent) do names[#names + 1] = worker end
return { freed, names }`;

export interface Heartbeat {
  close(): Promise<void>;
}

export function startHeartbeat(options: {
  redis: Connection;
  keys: Keys;
  workerId: string;
  intervalMs: number;
  models(): readonly string[];
  log: Logger;
}): Heartbeat {
  const { redis, keys, workerId, intervalMs, models, log } = options;
  // Two may be late before it counts as dead.
  const ttlMs = Math.round(intervalMs * 2.5);
  // By model. After an outage of Redis all are silent for a moment: only who is so twice counts as dead.
  const silent = new Map<string, string[]>();
  let busy = false;

  async function beat(): Promise<void> {
    await Promise.all(
      Array.from({ length: SHARDS }, (_, shard) => redis.set(keys.worker(shard, workerId), sharedNow(), 'PX', ttlMs)),
    );
  }

  async function freeLocks(model: string): Promise<void> {
    const shard = shardOf(model);
    const queue = `${keys.bull(shard)}:${model}:`;
    const [freed, names] = (await redis.eval(
      FREE_LOCKS,
      1,
      `${queue}active`,
      queue,
      keys.worker(shard, ''),
      ...(silent.get(model) ?? []),
    )) as [number, string[]];
    silent.set(model, names);
    if (freed > 0) log.warn({ model, jobs: freed }, 'jobs of a lost worker are freed');
  }

  async function tick(): Promise<void> {
    if (busy) return;
    busy = true;
    try {
      await beat();
      await Promise.all(models().map(freeLocks));
    } catch (error) {
      log.debug({ err: error }, 'no heartbeat');
    } finally {
      busy = false;
    }
  }

  void tick();
  const timer = setInterval(() => void tick(), Math.max(50, intervalMs / 2));
  return {
    async close() {
      clearInterval(timer);
      await Promise.allSettled(Array.from({ length: SHARDS }, (_, shard) => redis.del(keys.worker(shard, workerId))));
    },
  };
}

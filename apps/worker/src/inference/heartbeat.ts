/**
 * Writes the heartbeat of this worker, and removes the job locks of workers whose heartbeat has ended. BullMQ then gives the jobs of a
 * dead worker to other workers within a second, instead of after the half minute of the lock.
 */

import { sharedNow } from '@millrace/shared/postgres/clock';
import { SHARDS, shardOf } from '@millrace/shared/predictions/ids';
import type { Connection } from '@millrace/shared/redis/connection';
import type { Keys } from '@millrace/shared/redis/keys';
import { scriptOf } from '@millrace/shared/redis/script';
import type { Logger } from 'pino';
import { RolledBackState } from './rolled-back.ts';

// KEYS: a queue's list of active jobs, its counters. ARGV: prefix of job keys, prefix of heartbeats, this worker, then the workers
// that were silent at the last check. Removes the locks of workers that are still silent. Returns the number of removed locks, the
// silent workers, the jobs under a lock of this worker with their tokens, and the counters of an empty queue when they contradict
// each other.
const CHECK = scriptOf(`
local before, silent, own, freed = {}, {}, {}, 0
for n = 4, #ARGV do before[ARGV[n]] = true end
for _, job in ipairs(redis.call('LRANGE', KEYS[1], 0, 4999)) do
  local lock = ARGV[1] .. job .. ':lock'
  local token = redis.call('GET', lock)
  local worker = token and string.match(token, '^([^:]+)')
  if worker == ARGV[3] then
    own[#own + 1] = job
    own[#own + 1] = token
  elseif worker and redis.call('EXISTS', ARGV[2] .. worker) == 0 then
    silent[worker] = true
    if before[worker] then
      redis.call('DEL', lock)
      freed = freed + 1
    end
  end
end
local names = {}
for worker in pairs(silent) do names[#names + 1] = worker end
local uneven = ''
if redis.call('EXISTS', KEYS[1], ARGV[1] .. 'wait', ARGV[1] .. 'prioritized', ARGV[1] .. 'delayed', ARGV[1] .. 'paused') == 0 then
  local counts = redis.call('HMGET', KEYS[2], 's1', 't1', 's5', 't5', 's9', 't9')
  for n = 1, 6 do counts[n] = counts[n] or '0' end
  if counts[1] ~= counts[2] or counts[3] ~= counts[4] or counts[5] ~= counts[6] then uneven = table.concat(counts, ' ') end
end
return { freed, names, own, uneven }`);

// KEYS: heartbeat. ARGV: now, lifetime in ms. The script runs while Redis is full, because a live worker must not look dead.
const BEAT = scriptOf(`#!lua flags=allow-oom
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])`);

export interface Heartbeat {
  close(): Promise<void>;
}

export function startHeartbeat(options: {
  redis: Connection;
  keys: Keys;
  workerId: string;
  intervalMs: number;
  models(): readonly string[];
  /** Whether this worker holds the job of a model under that lock token. */
  holds(model: string, job: string, token: string): boolean;
  log: Logger;
}): Heartbeat {
  const { redis, keys, workerId, intervalMs, models, holds, log } = options;
  const rolledBack = new RolledBackState({ redis, keys, holds, log });
  // A worker sends two heartbeats in an interval. Four of them may be late, and the fifth counts as missing.
  const ttlMs = Math.round(intervalMs * 2.5);
  // Silent workers by model. After an outage of Redis all workers are silent for a moment, so only two silent checks count as dead.
  const silent = new Map<string, string[]>();
  let busy = false;

  async function beat(): Promise<void> {
    await Promise.all(
      Array.from({ length: SHARDS }, (_, shard) => BEAT(redis, 1, keys.worker(shard, workerId), sharedNow(), ttlMs)),
    );
  }

  async function check(model: string): Promise<void> {
    const shard = shardOf(model);
    const queue = `${keys.bull(shard)}:${model}:`;
    const [freed, names, ownLocks, unevenCounts] = (await CHECK(
      redis,
      2,
      `${queue}active`,
      keys.queueStats(shard, model),
      queue,
      keys.worker(shard, ''),
      workerId,
      ...(silent.get(model) ?? []),
    )) as [number, string[], string[], string];
    silent.set(model, names);
    if (freed > 0) log.warn({ model, jobs: freed }, 'the locks of a dead worker are removed');
    await rolledBack.observe(model, { ownLocks, unevenCounts });
  }

  async function tick(): Promise<void> {
    if (busy) return;
    busy = true;
    try {
      await beat();
      await Promise.all(models().map(check));
    } catch (error) {
      log.debug({ err: error }, 'the heartbeat failed');
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

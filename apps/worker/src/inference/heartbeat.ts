/**
 * Says that this worker lives, and frees what the dead hold: the job locks of a worker whose heartbeat has ended are
 * removed, and BullMQ then gives its jobs to others within a second instead of after the lock's half minute.
 */

import { sharedNow } from '@millrace/shared/postgres/clock';
import { SHARDS, shardOf } from '@millrace/shared/predictions/ids';
import type { Connection } from '@millrace/shared/redis/connection';
import type { Keys } from '@millrace/shared/redis/keys';
import type { Logger } from 'pino';
import { RolledBackState } from './rolled-back.ts';

// KEYS: a queue's list of active jobs, its counters. ARGV: prefix of job keys, prefix of heartbeats, this worker, then workers
// that were silent at the last look. Frees the locks of those that still are. Returns how many, who is silent now, the jobs under
// a lock of this worker with their tokens, and the counters of an empty queue that do not agree.
const LOOK = `
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
return { freed, names, own, uneven }`;

// KEYS: heartbeat. ARGV: now, ms that it lives. Runs although Redis has no memory left: a worker that lives must not look dead.
const BEAT = `#!lua flags=allow-oom
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])`;

export interface Heartbeat {
  close(): Promise<void>;
}

export function startHeartbeat(options: {
  redis: Connection;
  keys: Keys;
  workerId: string;
  intervalMs: number;
  models(): readonly string[];
  /** Whether this worker runs the job of a model under that lock token. */
  holds(model: string, job: string, token: string): boolean;
  log: Logger;
}): Heartbeat {
  const { redis, keys, workerId, intervalMs, models, holds, log } = options;
  const rolledBack = new RolledBackState({ redis, keys, holds, log });
  // Two may be late before it counts as dead.
  const ttlMs = Math.round(intervalMs * 2.5);
  // By model. After an outage of Redis all are silent for a moment: only who is so twice counts as dead.
  const silent = new Map<string, string[]>();
  let busy = false;

  async function beat(): Promise<void> {
    await Promise.all(
      Array.from({ length: SHARDS }, (_, shard) =>
        redis.eval(BEAT, 1, keys.worker(shard, workerId), sharedNow(), ttlMs),
      ),
    );
  }

  async function look(model: string): Promise<void> {
    const shard = shardOf(model);
    const queue = `${keys.bull(shard)}:${model}:`;
    const [freed, names, ownLocks, unevenCounts] = (await redis.eval(
      LOOK,
      2,
      `${queue}active`,
      keys.queueStats(shard, model),
      queue,
      keys.worker(shard, ''),
      workerId,
      ...(silent.get(model) ?? []),
    )) as [number, string[], string[], string];
    silent.set(model, names);
    if (freed > 0) log.warn({ model, jobs: freed }, 'jobs of a lost worker are freed');
    await rolledBack.observe(model, { ownLocks, unevenCounts });
  }

  async function tick(): Promise<void> {
    if (busy) return;
    busy = true;
    try {
      await beat();
      await Promise.all(models().map(look));
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

/**
 * Repairs contradictions on the queue Redis after Redis has lost its last writes (a power cut with appendfsync everysec, or the
 * promotion of a replica that had not copied everything).
 *
 * - A job that this worker had ended is active again under a lock of this worker. Every other worker respects the lock, because its
 *   owner is alive. The owner removes the lock.
 * - The counters of a queue include predictions whose job was lost. The model would look busy and its worker stuck forever. The
 *   counters are made equal after the queue has been empty for some seconds.
 */

import { shardOf } from '@millrace/shared/predictions/ids';
import type { Connection } from '@millrace/shared/redis/connection';
import type { Keys } from '@millrace/shared/redis/keys';
import type { Logger } from 'pino';

/** The result of one check of a model's queue (heartbeat.ts). */
export interface QueueLook {
  /** Active jobs under a lock of this worker, each followed by its lock token. */
  ownLocks: readonly string[];
  /** The six counters of an empty queue when they contradict each other, else ''. */
  unevenCounts: string;
}

/** A job moves between Redis and this process in less time, and an API writes a state and its job in less time. */
const COUNT_PATIENCE_MS = 5_000;

// KEYS: the lock of each job. ARGV: the token of each job. Deletes the locks that have not changed, and returns their number.
const FREE_OWN = `
local freed = 0
for n = 1, #KEYS do
  if redis.call('GET', KEYS[n]) == ARGV[n] then freed = freed + redis.call('DEL', KEYS[n]) end
end
return freed`;

// KEYS: the counters, then the lists and sets of the queue. ARGV: the counters at the check. Returns 1 if it made the counters equal.
const EVEN_COUNTS = `
for n = 2, #KEYS do
  if redis.call('EXISTS', KEYS[n]) == 1 then return 0 end
end
local names = { 's1', 't1', 's5', 't5', 's9', 't9' }
local counts = redis.call('HMGET', KEYS[1], unpack(names))
for n = 1, 6 do counts[n] = counts[n] or '0' end
if table.concat(counts, ' ') ~= ARGV[1] then return 0 end
for n = 1, 5, 2 do redis.call('HSET', KEYS[1], names[n + 1], counts[n]) end
return 1`;

/** Names of the keys of a queue that hold unfinished jobs. */
export const JOB_KEYS = ['active', 'wait', 'prioritized', 'delayed', 'paused'] as const;

export interface RolledBackDeps {
  redis: Connection;
  keys: Keys;
  /** Whether this worker holds the job under that lock token. */
  holds(model: string, job: string, token: string): boolean;
  log: Logger;
}

export class RolledBackState {
  readonly #deps: RolledBackDeps;
  /** Locks of this worker without a held job at the last check, by model. */
  readonly #suspects = new Map<string, Set<string>>();
  /** Contradictory counters by model, with the time of their last change (performance.now()). */
  readonly #uneven = new Map<string, { counts: string; since: number }>();

  constructor(deps: RolledBackDeps) {
    this.#deps = deps;
  }

  async observe(model: string, look: QueueLook): Promise<void> {
    await this.#freeOwnLocks(model, look.ownLocks);
    await this.#evenCounts(model, look.unevenCounts);
  }

  /** Removes a lock at the second check. At the first check, the job or its end can still be in transit. */
  async #freeOwnLocks(model: string, locks: readonly string[]): Promise<void> {
    const { redis, keys, holds, log } = this.#deps;
    const before = this.#suspects.get(model);
    const suspects = new Set<string>();
    const strays: [job: string, token: string][] = [];
    for (let at = 0; at < locks.length; at += 2) {
      const [job, token] = [locks[at] as string, locks[at + 1] as string];
      if (holds(model, job, token)) continue;
      suspects.add(`${job} ${token}`);
      if (before?.has(`${job} ${token}`)) strays.push([job, token]);
    }
    if (suspects.size > 0) this.#suspects.set(model, suspects);
    else this.#suspects.delete(model);
    if (strays.length === 0) return;
    const queue = `${keys.bull(shardOf(model))}:${model}:`;
    const lockKeys = strays.map(([job]) => `${queue}${job}:lock`);
    const freed = await redis.eval(FREE_OWN, lockKeys.length, ...lockKeys, ...strays.map(([, token]) => token));
    log.warn({ model, jobs: freed }, 'Redis has lost writes: jobs that this worker does not run are freed');
  }

  async #evenCounts(model: string, counts: string): Promise<void> {
    const known = this.#uneven.get(model);
    if (counts === '') {
      this.#uneven.delete(model);
      return;
    }
    if (known?.counts !== counts) {
      this.#uneven.set(model, { counts, since: performance.now() });
      return;
    }
    if (performance.now() - known.since < COUNT_PATIENCE_MS) return;
    this.#uneven.delete(model);
    const { redis, keys, log } = this.#deps;
    const shard = shardOf(model);
    const queue = `${keys.bull(shard)}:${model}:`;
    const queueKeys = [keys.queueStats(shard, model), ...JOB_KEYS.map((name) => queue + name)];
    if ((await redis.eval(EVEN_COUNTS, queueKeys.length, ...queueKeys, counts)) === 1)
      log.warn({ model, counts }, 'the counters of an empty queue contradicted each other and are repaired');
  }
}

/**
 * Repairs what disagrees on the queue Redis after it lost its last writes (a power cut with appendfsync everysec, or a replica
 * that was promoted before it had copied all).
 *
 * - A job that this worker had ended is active again, under a lock of this worker, which does not know of it. Every other worker
 *   respects the lock, since its owner lives. The owner frees it.
 * - A queue counts predictions that entered, and that never leave: their job was not written. The model would look busy for
 *   ever, and its worker stuck. The counts are set even once the queue has been empty for some seconds.
 */

import { shardOf } from '@millrace/shared/predictions/ids';
import type { Connection } from '@millrace/shared/redis/connection';
import type { Keys } from '@millrace/shared/redis/keys';
import type { Logger } from 'pino';

/** What one look at a model's queue found: see heartbeat.ts. */
export interface QueueLook {
  /** Active jobs whose lock bears this worker's name, each followed by its lock token. */
  ownLocks: readonly string[];
  /** The six counters of a queue that is empty and whose counters say otherwise; '' when they agree. */
  unevenCounts: string;
}

/** A job is on its way between Redis and this process for less than this, and an API writes a state and its job within it. */
const COUNT_PATIENCE_MS = 5_000;

// KEYS: for each job its lock. ARGV: for each the token. Deletes the locks that have not changed; returns how many.
const FREE_OWN = `
local freed = 0
for n = 1, #KEYS do
  if redis.call('GET', KEYS[n]) == ARGV[n] then freed = freed + redis.call('DEL', KEYS[n]) end
end
return freed`;

// KEYS: the counters, then the lists and sets of the queue. ARGV: what the counters were. Returns whether they were set even.
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

/** Names of the keys of a queue that hold jobs which are not ended. */
export const JOB_KEYS = ['active', 'wait', 'prioritized', 'delayed', 'paused'] as const;

export interface RolledBackDeps {
  redis: Connection;
  keys: Keys;
  /** Whether this worker runs the job under that lock token. */
  holds(model: string, job: string, token: string): boolean;
  log: Logger;
}

export class RolledBackState {
  readonly #deps: RolledBackDeps;
  /** By model: locks that were found without a job held here at the last look. */
  readonly #suspects = new Map<string, Set<string>>();
  /** By model: uneven counts, and since when they have not changed (performance.now()). */
  readonly #uneven = new Map<string, { counts: string; since: number }>();

  constructor(deps: RolledBackDeps) {
    this.#deps = deps;
  }

  async observe(model: string, look: QueueLook): Promise<void> {
    await this.#freeOwnLocks(model, look.ownLocks);
    await this.#evenCounts(model, look.unevenCounts);
  }

  /** At the second look: at the first, the job may be on its way here, or its end on the way to Redis. */
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
      log.warn({ model, counts }, 'the counts of an empty queue are set even');
  }
}

/**
 * Corrects the counters of queues after unreadable live states were discarded. Such a state was counted when the prediction
 * entered the queue, but not when the state was discarded. Without a correction the queue looks too long forever: estimates are
 * too high, and the health of workers reports work that no worker takes.
 */

import type { LiveStore } from '@millrace/shared/live/store';
import { shardOf } from '@millrace/shared/predictions/ids';
import type { Connection } from '@millrace/shared/redis/connection';
import type { Keys } from '@millrace/shared/redis/keys';

/**
 * KEYS: counters of a queue. ARGV: prefix of the queue's BullMQ keys, then the entries of each priority at the previous check.
 * A queue without jobs and without new entries since that check is empty, so every entry has left. Returns 1 after a correction.
 */
const SETTLE = `
local queue = ARGV[1]
if redis.call('EXISTS', queue .. 'wait', queue .. 'prioritized', queue .. 'active', queue .. 'delayed') > 0 then return 0 end
local entered = redis.call('HMGET', KEYS[1], 's1', 's5', 's9')
for n = 1, 3 do if (entered[n] or '0') ~= ARGV[n + 1] then return 0 end end
for n, priority in ipairs({ '1', '5', '9' }) do
  if entered[n] then redis.call('HSET', KEYS[1], 't' .. priority, entered[n]) end
end
return 1`;

const PRIORITIES = [1, 5, 9] as const;

export interface SettleDeps {
  redis: Connection;
  keys: Keys;
  live: Pick<LiveStore, 'counts'>;
  /** Every model that has a queue. */
  models(): Promise<readonly string[]>;
}

export class CountSettlement {
  readonly #deps: SettleDeps;
  /** Entries of the last check by model. Undefined while no queue needs a check. */
  #before: Map<string, string> | undefined;

  constructor(deps: SettleDeps) {
    this.#deps = deps;
  }

  /** Starts the checks after states were discarded. The checks continue until every queue is correct. */
  begin(): void {
    this.#before ??= new Map();
  }

  /** Checks and corrects the queues. */
  async check(): Promise<void> {
    const before = this.#before;
    if (before === undefined) return;
    const { redis, keys, live, models } = this.#deps;
    const seen = new Map<string, string>();
    for (const model of await models()) {
      const counts = await live.counts(model);
      const entered = PRIORITIES.map((priority) => counts.entered[priority] ?? 0);
      if (PRIORITIES.every((priority, at) => entered[at]! <= (counts.left[priority] ?? 0))) continue;
      const shard = shardOf(model);
      const queue = `${keys.bull(shard)}:${model}:`;
      const settled =
        before.get(model) === entered.join() &&
        (await redis.eval(SETTLE, 1, keys.queueStats(shard, model), queue, ...entered)) === 1;
      if (!settled) seen.set(model, entered.join());
    }
    this.#before = seen.size > 0 ? seen : undefined;
  }
}

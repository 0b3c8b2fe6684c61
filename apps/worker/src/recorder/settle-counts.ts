/**
 * Corrects the counters of queues after live states were discarded. A state that could not be read was counted when it entered
 * its queue, and nothing tells that it left: its queue would look longer for ever, which callers see in their estimates, and
 * the worker's health as work that nobody takes.
 */

import type { LiveStore } from '@millrace/shared/live/store';
import { shardOf } from '@millrace/shared/predictions/ids';
import type { Connection } from '@millrace/shared/redis/connection';
import type { Keys } from '@millrace/shared/redis/keys';

/**
 * KEYS: counters of a queue. ARGV: prefix of its BullMQ keys, then how many of each priority had entered at the look before.
 * A queue without any job that nothing entered in between is empty: all that entered has left. Returns 1 if it was corrected.
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
  /** By model, what had entered at the last look; undefined while no queue needs to be looked at. */
  #before: Map<string, string> | undefined;

  constructor(deps: SettleDeps) {
    this.#deps = deps;
  }

  /** States were discarded: looks from now on, until every queue is right. */
  begin(): void {
    this.#before ??= new Map();
  }

  async look(): Promise<void> {
    const before = this.#before;
    if (before === undefined) return;
    const { redis, keys, live, models } = this.#deps;
    const seen = new Map<string, string>();
    for (const model of await models()) {
      const counts = await live.counts(model);
      const entered = PRIORITIES.map((priority) => counts.entered[priority] ?? 0);
      if (PRIORITIES.every((priority, at) => (entered[at] as number) <= (counts.left[priority] ?? 0))) continue;
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

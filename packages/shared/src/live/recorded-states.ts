/**
 * Large states that the ledger has too. Redis keeps these states for a while, because a poll of Redis is cheaper, and deletes them
 * first when memory is short. A sorted set of each shard has their ids, oldest first.
 */

import type { Connection } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';
import type { LiveStore } from './store.ts';

// Both scripts run while Redis is full, because they free memory. ADD adds about 80 bytes for a state of 64 KiB or more.
const FLAGS = '#!lua flags=allow-oom\n';

// KEYS: set. ARGV: now (Unix ms), lifetime of a state in ms, then `id completed-at` of each state.
const ADD = `${FLAGS}
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1] - ARGV[2])
for n = 3, #ARGV do redis.call('ZADD', KEYS[1], ARGV[1], ARGV[n]) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])`;

// KEYS: set. ARGV: count. Removes and returns the oldest members.
const POP = `${FLAGS}return redis.call('ZPOPMIN', KEYS[1], ARGV[1])`;

export interface RecordedState {
  id: string;
  completedAt: number;
}

export class RecordedStates {
  readonly #redis: Connection;
  readonly #keys: Keys;
  readonly #live: Pick<LiveStore, 'drop'>;

  constructor(redis: Connection, keys: Keys, live: Pick<LiveStore, 'drop'>) {
    this.#redis = redis;
    this.#keys = keys;
    this.#live = live;
  }

  /** Adds recorded states of one shard, which Redis keeps for `keptMs`. */
  async add(
    shard: number,
    states: readonly RecordedState[],
    { nowMs, keptMs }: { nowMs: number; keptMs: number },
  ): Promise<void> {
    if (states.length === 0) return;
    const members = states.map(({ id, completedAt }) => `${id} ${completedAt}`);
    await this.#redis.eval(ADD, 1, this.#keys.recordedStates(shard), nowMs, keptMs, ...members);
  }

  /** Deletes the oldest states of a shard from Redis, at most `count`. Returns the number of states. */
  async drop(shard: number, count: number): Promise<number> {
    const reply = (await this.#redis.eval(POP, 1, this.#keys.recordedStates(shard), count)) as string[];
    const states: RecordedState[] = [];
    for (let at = 0; at < reply.length; at += 2) {
      const [id = '', completedAt] = (reply[at] as string).split(' ');
      states.push({ id, completedAt: Number(completedAt) });
    }
    // A state that has changed since, by a retry, stays.
    await this.#live.drop(states);
    return states.length;
  }
}

/**
 * Large states that the ledger has too. Redis keeps them for a while, since a poll is cheaper from there; where memory is
 * short they are the first to go. A sorted set of each shard names them, oldest first.
 */

import type { Connection } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';
import type { LiveStore } from './store.ts';

// Both scripts may run while Redis is full: they are how Redis gets room. ADD adds some 80 bytes for a state of 64 KiB or more.
const FLAGS = '#!lua flags=allow-oom\n';

// KEYS: set. ARGV: now (Unix ms), ms that a state is kept, then `id completed-at` of each.
const ADD = `${FLAGS}
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1] - ARGV[2])
for n = 3, #ARGV do redis.call('ZADD', KEYS[1], ARGV[1], ARGV[n]) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])`;

// KEYS: set. ARGV: how many. Returns the oldest, which leave the set.
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

  /** States of one shard that are recorded, and that Redis keeps for `keptMs` more. */
  async add(shard: number, states: readonly RecordedState[], nowMs: number, keptMs: number): Promise<void> {
    if (states.length === 0) return;
    const members = states.map(({ id, completedAt }) => `${id} ${completedAt}`);
    await this.#redis.eval(ADD, 1, this.#keys.recordedStates(shard), nowMs, keptMs, ...members);
  }

  /** Removes the oldest states of a shard from Redis, at most `count`; returns how many there were. */
  async drop(shard: number, count: number): Promise<number> {
    const reply = (await this.#redis.eval(POP, 1, this.#keys.recordedStates(shard), count)) as string[];
    const states: RecordedState[] = [];
    for (let at = 0; at < reply.length; at += 2) {
      const [id = '', completedAt] = (reply[at] as string).split(' ');
      states.push({ id, completedAt: Number(completedAt) });
    }
    // What has changed since (a retry) stays.
    await this.#live.drop(states);
    return states.length;
  }
}

/**
 * Ends that the recorder writes on their own: large ends, and ends that Postgres could not write together with others. The ends
 * wait in a sorted set of their shard and not in the stream, so that other ends pass. Every recorder claims
 * ends from the sets of its shards. A claim is a lease, so that another recorder takes over the ends of a dead recorder.
 */

import { UNRECORDED_TTL_MS } from '@millrace/shared/live/store';
import type { Connection } from '@millrace/shared/redis/connection';
import type { Keys } from '@millrace/shared/redis/keys';
import { scriptOf } from '@millrace/shared/redis/script';

/** Longer than an attempt to write one claim: a statement, and its repetition without the output. */
const LEASE_MS = 60_000;

// These scripts may run while Redis is full, because recording frees memory. Each script adds at most a few bytes.
const FLAGS = '#!lua flags=allow-oom\n';
const NOW = "local t = redis.call('TIME')\nlocal now = t[1] * 1000 + math.floor(t[2] / 1000)\n";

// KEYS: set, tries. ARGV: prefix of live keys, ms to keep a state, ms until due, tries, ids.
const ADD = `${FLAGS}${NOW}
for n = 5, #ARGV do
  redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[n])
  if ARGV[4] ~= '0' then redis.call('HSET', KEYS[2], ARGV[n], ARGV[4]) end
  redis.call('PEXPIRE', ARGV[1] .. ARGV[n], ARGV[2], 'GT')
end`;

// KEYS: set, tries. ARGV: prefix of live keys, lease ms, max rows, max bytes. Returns the lease (as text), then id and tries of each
// end. An end that failed before is claimed alone.
const CLAIM = `${FLAGS}${NOW}
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[3])
local lease, bytes, out = string.format('%.0f', now + ARGV[2]), 0, {}
for _, id in ipairs(due) do
  local tries = redis.call('HGET', KEYS[2], id) or '0'
  bytes = bytes + redis.call('STRLEN', ARGV[1] .. id)
  if #out > 0 and (bytes > tonumber(ARGV[4]) or tries ~= '0') then break end
  redis.call('ZADD', KEYS[1], 'XX', lease, id)
  out[#out + 1] = id
  out[#out + 1] = tries
  if tries ~= '0' then break end
end
table.insert(out, 1, lease)
return out`;

// KEYS: set, tries. ARGV: lease, ms until due (-1: done), tries, ids. An end that was set aside again meanwhile has another due
// time than the lease, and stays.
const SETTLE = `${FLAGS}${NOW}
for n = 4, #ARGV do
  if redis.call('ZSCORE', KEYS[1], ARGV[n]) == ARGV[1] then
    if ARGV[2] == '-1' then
      redis.call('ZREM', KEYS[1], ARGV[n])
      redis.call('HDEL', KEYS[2], ARGV[n])
    else
      redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[n])
      redis.call('HSET', KEYS[2], ARGV[n], ARGV[3])
    end
  end
end`;

// KEYS: set. Returns the number of ends that are set aside, and for how many ms the first end has been due.
const WAITING = scriptOf(`#!lua flags=no-writes
${NOW}
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return { redis.call('ZCARD', KEYS[1]), first[2] and math.max(0, now - first[2]) or 0 }`);

export interface Claimed {
  id: string;
  /** Failed attempts to write the end. */
  tries: number;
}

export interface Claim {
  shard: number;
  lease: string;
  ends: Claimed[];
}

export class SetAside {
  readonly #redis: Connection;
  readonly #keys: Keys;

  constructor(redis: Connection, keys: Keys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  /** Sets ends of a shard aside. Redis keeps their live states until the ends are written, but at most UNRECORDED_TTL_MS. */
  async add(shard: number, ids: readonly string[], { afterMs = 0, tries = 0 } = {}): Promise<void> {
    if (ids.length === 0) return;
    await this.#run(ADD, shard, [`${this.#keys.tag(shard)}p:`, UNRECORDED_TTL_MS, afterMs, tries, ...ids]);
  }

  /** Claims due ends of a shard within `rows` and `bytes`, but at least one end. Returns null when no end is due. */
  async claim(shard: number, rows: number, bytes: number): Promise<Claim | null> {
    const reply = await this.#run(CLAIM, shard, [`${this.#keys.tag(shard)}p:`, LEASE_MS, rows, bytes]);
    const [lease = '', ...pairs] = Array.isArray(reply) ? reply.map(String) : [];
    const ends: Claimed[] = [];
    for (let at = 0; at < pairs.length; at += 2) ends.push({ id: pairs[at]!, tries: Number(pairs[at + 1]) });
    return ends.length === 0 ? null : { shard, lease, ends };
  }

  /** Removes the ends of a claim that were written or need not be written. */
  async done({ shard, lease }: Claim, ids: readonly string[]): Promise<void> {
    if (ids.length > 0) await this.#run(SETTLE, shard, [lease, -1, 0, ...ids]);
  }

  /** Makes ends of a claim that could not be written due again after `afterMs`. */
  async again(
    { shard, lease }: Claim,
    ids: readonly string[],
    retry: { afterMs: number; tries: number },
  ): Promise<void> {
    if (ids.length > 0) await this.#run(SETTLE, shard, [lease, retry.afterMs, retry.tries, ...ids]);
  }

  /** The number of ends of a shard that are set aside, and for how long the first end has been due. */
  async waiting(shard: number): Promise<{ count: number; overdueMs: number }> {
    const reply = await WAITING(this.#redis, 1, this.#keys.setAside(shard));
    const [count = 0, overdueMs = 0] = Array.isArray(reply) ? reply.map(Number) : [];
    return { count, overdueMs };
  }

  /** Returns the ids of a shard that are set aside. */
  async has(shard: number, ids: readonly string[]): Promise<Set<string>> {
    if (ids.length === 0) return new Set();
    const scores = await this.#redis.zmscore(this.#keys.setAside(shard), ...ids);
    return new Set(ids.filter((_, at) => scores[at] !== null));
  }

  #run(script: string, shard: number, args: readonly (string | number)[]): Promise<unknown> {
    return this.#redis.eval(script, 2, this.#keys.setAside(shard), this.#keys.setAsideTries(shard), ...args);
  }
}

/**
 * The one read-through cache for queries: get, else load and set with a TTL. On the cache Redis, which may forget or die.
 *
 * A key holds either a value ('v' and JSON with its checksum) or the lease ('l' and a token) of whoever loads it now. The lease is two
 * things in one: others wait for its holder instead of loading too, and the holder stores only while it is still there.
 * An invalidation deletes the key, and the lease with it, so that what a load began before the change cannot be stored
 * after it; nor can it when the lease was evicted or ran out. A damaged value counts as none: whoever finds it loads anew.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Keys } from '../redis/keys.ts';
import { isWrongType } from '../redis/wrong-type.ts';
import { sealJson, unsealJson } from './checksum.ts';

/** What is used of a connection. Give it a command timeout: a stopped Redis must not hold up the reader. */
export interface CacheRedis {
  get(key: string): Promise<string | null>;
  del(key: string): Promise<unknown>;
  set(key: string, value: string, px: 'PX', ms: number, nx: 'NX', get: 'GET'): Promise<string | null>;
  eval(script: string, numberOfKeys: number, ...args: (string | number)[]): Promise<unknown>;
}

export interface ReadThroughOptions {
  redis: CacheRedis;
  keys: Keys;
  ttlMs: number;
  /** Told of a failing cache; the reads go on without it. */
  onError?: (error: unknown) => void;
  /** Told of each damaged value that was found. */
  onDamaged?: () => void;
  /** How long a lease keeps others from loading. What takes longer to load is not stored. */
  leaseMs?: number;
  /** How often somebody else's load is looked after. */
  pollMs?: number;
}

export interface ReadThroughCounts {
  hits: number;
  misses: number;
  loads: number;
  errors: number;
}

export interface ReadThrough {
  /**
   * The value of a query, as JSON has it. A get that begins after an invalidation has resolved sees nothing that was
   * loaded before it. Throws only what `load` throws.
   */
  get<T>(name: string, load: () => Promise<T>): Promise<T>;
  /**
   * Forgets queries; call it after the change is committed. While the cache does not answer, this process reads past it
   * and goes on trying; it resolves all the same.
   */
  invalidate(...names: string[]): Promise<void>;
  readonly counts: Readonly<ReadThroughCounts>;
  /** Stops what is still tried in the background. */
  close(): void;
}

// KEYS[1] the key; ARGV[1] our lease, ARGV[2] the value, ARGV[3] its TTL in ms.
const STORE = `if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  return 1
end
return 0`;
// KEYS[1] the key; ARGV[1] our lease. After a failed load: the next one need not wait for it to run out.
const RELEASE = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`;
// KEYS[1] the key; ARGV[1] our lease, ARGV[2] its time in ms. Puts the lease in the place of a damaged value of any type.
const REPLACE = `redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])`;

const RETRY_MS = 250;
/** No lease is longer. */
const LEASE_LENGTH_MAX = 64;

interface Flight {
  lease: string;
  value: Promise<unknown>;
}

/** What stands under a key: a value, nothing (the lease is ours now), or the lease of somebody who loads it. */
type Found = { kind: 'value'; json: string } | { kind: 'mine' } | { kind: 'theirs'; lease: string };

export function createReadThrough(options: ReadThroughOptions): ReadThrough {
  const { redis, keys, ttlMs, onError = () => {}, onDamaged = () => {}, leaseMs = 3_000, pollMs = 20 } = options;
  const counts: ReadThroughCounts = { hits: 0, misses: 0, loads: 0, errors: 0 };
  const flights = new Map<string, Flight>();
  /** Names whose invalidation has not reached the cache. */
  const unforgotten = new Set<string>();
  const closed = new AbortController();
  let isRetrying = false;

  function failed(error: unknown): void {
    counts.errors += 1;
    onError(error);
  }

  function loadCounted<T>(load: () => Promise<T>): Promise<T> {
    counts.loads += 1;
    return load();
  }

  function fly<T>(name: string, lease: string, run: () => Promise<T>): Promise<T> {
    const flight: Flight = { lease, value: run() };
    flights.set(name, flight);
    const land = () => {
      if (flights.get(name) === flight) flights.delete(name);
    };
    flight.value.then(land, land);
    return flight.value as Promise<T>;
  }

  async function loadAndStore<T>(key: string, lease: string, load: () => Promise<T>): Promise<T> {
    let value: T;
    try {
      value = await loadCounted(load);
    } catch (error) {
      await redis.eval(RELEASE, 1, key, lease).catch(failed);
      throw error;
    }
    await redis.eval(STORE, 1, key, lease, `v${sealJson(JSON.stringify(value))}`, ttlMs).catch(failed);
    return value;
  }

  /** Without the cache. An invalidation takes the flight away, so that a load from before it is not joined after it. */
  function loadAlone<T>(name: string, load: () => Promise<T>): Promise<T> {
    const flight = flights.get(name);
    if (flight) return flight.value as Promise<T>;
    return fly(name, '', () => loadCounted(load));
  }

  /** What a key holds; where that is nothing, or damaged, `lease` is put there. */
  async function find(key: string, lease: string): Promise<Found> {
    try {
      const held = (await redis.get(key)) ?? (await redis.set(key, lease, 'PX', leaseMs, 'NX', 'GET'));
      if (held === null) return { kind: 'mine' };
      if (held.startsWith('l') && held.length <= LEASE_LENGTH_MAX) return { kind: 'theirs', lease: held };
      const json = held.startsWith('v') ? unsealJson(held.slice(1)) : undefined;
      if (json !== undefined) return { kind: 'value', json };
    } catch (error) {
      if (!isWrongType(error)) throw error;
    }
    onDamaged();
    await redis.eval(REPLACE, 1, key, lease, leaseMs);
    return { kind: 'mine' };
  }

  async function get<T>(name: string, load: () => Promise<T>): Promise<T> {
    if (unforgotten.has(name)) return loadAlone(name, load);
    const key = keys.query(name);
    const until = performance.now() + leaseMs;
    let missed = false;
    for (;;) {
      const lease = `l${randomUUID()}`;
      let found: Found;
      try {
        found = await find(key, lease);
      } catch (error) {
        failed(error);
        return loadAlone(name, load);
      }
      if (found.kind === 'value') {
        // Who waited for another's load counts as the miss it was.
        if (!missed) counts.hits += 1;
        return JSON.parse(found.json) as T;
      }
      if (!missed) counts.misses += 1;
      missed = true;
      if (found.kind === 'mine') return fly(name, lease, () => loadAndStore(key, lease, load));
      const flight = flights.get(name);
      if (flight?.lease === found.lease) return flight.value as Promise<T>;
      if (performance.now() > until) return loadCounted(load);
      await delay(pollMs);
    }
  }

  async function retry(): Promise<void> {
    if (isRetrying) return;
    isRetrying = true;
    while (unforgotten.size > 0 && !closed.signal.aborted) {
      await delay(RETRY_MS, undefined, { signal: closed.signal, ref: false }).catch(() => {});
      for (const name of unforgotten) {
        try {
          await redis.del(keys.query(name));
          unforgotten.delete(name);
        } catch {
          break;
        }
      }
    }
    isRetrying = false;
  }

  return {
    get,
    counts,
    async invalidate(...names) {
      await Promise.all(
        names.map(async (name) => {
          flights.delete(name);
          unforgotten.add(name);
          try {
            await redis.del(keys.query(name));
            unforgotten.delete(name);
          } catch (error) {
            failed(error);
            void retry();
          }
        }),
      );
    },
    close: () => closed.abort(),
  };
}

/**
 * The read-through cache of queries: returns the stored value, or loads and stores the value with a TTL. The cache Redis may
 * evict any key and may be down.
 *
 * A key holds either a value ('v' and JSON with its checksum) or a lease ('l' and a token) of the process that loads the value.
 * The lease has two effects: other processes wait for the holder instead of loading too, and the holder stores the value only
 * while its lease exists. An invalidation deletes the key together with the lease, so that a load from before the change is not
 * stored after the change. The same is true of a lease that was evicted or that expired. A damaged value counts as absent and
 * is loaded again.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Keys } from '../redis/keys.ts';
import { isWrongType } from '../redis/wrong-type.ts';
import { STAMP_LENGTH, sealJson, stampJson, stampOf, unsealJson } from './checksum.ts';

/**
 * The commands of a connection that the cache uses. The connection needs a command timeout: a stopped Redis must not block the
 * reader.
 */
export interface CacheRedis {
  get(key: string): Promise<string | null>;
  getrange(key: string, start: number, end: number): Promise<string>;
  del(key: string): Promise<unknown>;
  set(key: string, value: string, px: 'PX', ms: number, nx: 'NX', get: 'GET'): Promise<string | null>;
  eval(script: string, numberOfKeys: number, ...args: (string | number)[]): Promise<unknown>;
}

export interface ReadThroughOptions {
  redis: CacheRedis;
  keys: Keys;
  ttlMs: number;
  /** Receives each error of the cache. Reads continue without the cache. */
  onError?: (error: unknown) => void;
  /** Called for each damaged value. */
  onDamaged?: () => void;
  /** How long a lease keeps other processes from loading. A load that takes longer is not stored. */
  leaseMs?: number;
  /** How often a process polls for the value that another process loads. */
  pollMs?: number;
}

export interface ReadThroughCounts {
  hits: number;
  misses: number;
  loads: number;
  errors: number;
}

// KEYS[1] the key; ARGV[1] the caller's lease, ARGV[2] the value, ARGV[3] the TTL in ms.
const STORE = `if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  return 1
end
return 0`;
// KEYS[1] the key; ARGV[1] the caller's lease. Deletes the lease after a failed load, so that the next load does not wait for
// its expiry.
const RELEASE = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`;
// KEYS[1] the key; ARGV[1] the caller's lease, ARGV[2] its time in ms. Replaces a damaged value of any type by the lease.
const REPLACE = `redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])`;

const RETRY_MS = 250;
/** A longer value is not a lease. */
const LEASE_LENGTH_MAX = 64;

interface SharedLoad {
  lease: string;
  value: Promise<unknown>;
}

/** The content of a key: a value, the caller's own new lease, or the lease of another loader. */
type Found =
  | { kind: 'value'; json: string; stamp: string | undefined }
  | { kind: 'kept'; value: Promise<unknown> }
  | { kind: 'mine' }
  | { kind: 'theirs'; lease: string };

/** A parsed value, and its stamp: the end of the stored text, which changes with the value. */
interface Kept {
  stamp: string;
  value: Promise<unknown>;
}

/** The most values that a process keeps. */
const KEPT_MAX = 256;

interface StoreParams<T> {
  key: string;
  lease: string;
  load: () => Promise<T>;
  /** Whether the stored text has a stamp. */
  isKept: boolean;
}

/** Readers of one name expect values of one type. */
const valueOfType = <T>(shared: { value: Promise<unknown> }): Promise<T> => shared.value as Promise<T>;

export class ReadThrough {
  readonly #options: Required<ReadThroughOptions>;
  /** The loads in progress in this process. Readers of the same name share a load. */
  readonly #loads = new Map<string, SharedLoad>();
  readonly #kept = new Map<string, Kept>();
  /** The names whose deletion has not reached the cache. */
  readonly #undeleted = new Set<string>();
  readonly #closed = new AbortController();
  readonly #counts: ReadThroughCounts = { hits: 0, misses: 0, loads: 0, errors: 0 };
  #isRetrying = false;

  constructor(options: ReadThroughOptions) {
    this.#options = { onError: () => {}, onDamaged: () => {}, leaseMs: 3_000, pollMs: 20, ...options };
  }

  get counts(): Readonly<ReadThroughCounts> {
    return this.#counts;
  }

  /**
   * Returns the value of a query after a round trip through JSON. A `get` that starts after an invalidation has resolved never
   * returns a value from before the invalidation. Throws only the errors of `load`.
   */
  get<T>(name: string, load: () => Promise<T>): Promise<T> {
    return this.#read(name, load, false);
  }

  /**
   * As `get`, for a large value that is read often: this process keeps the value, and reads only the end of the stored text while the
   * text is the same. Callers share the value and must not change the value.
   */
  getKept<T>(name: string, load: () => Promise<T>): Promise<T> {
    return this.#read(name, load, true);
  }

  /**
   * Deletes the values of queries. Must be called after the change is committed. While the cache does not respond, this process
   * reads without the cache and repeats the deletion in the background. Resolves in both cases.
   */
  async invalidate(...names: string[]): Promise<void> {
    const { redis, keys } = this.#options;
    await Promise.all(
      names.map(async (name) => {
        this.#loads.delete(name);
        this.#undeleted.add(name);
        try {
          await redis.del(keys.query(name));
          this.#undeleted.delete(name);
        } catch (error) {
          this.#failed(error);
          void this.#repeatDeletions();
        }
      }),
    );
  }

  /** Stops the repeated deletions in the background. */
  close(): void {
    this.#closed.abort();
  }

  async #read<T>(name: string, load: () => Promise<T>, isKept: boolean): Promise<T> {
    if (this.#undeleted.has(name)) return this.#loadAlone(name, load);
    const key = this.#options.keys.query(name);
    const until = performance.now() + this.#options.leaseMs;
    let missed = false;
    for (;;) {
      const lease = `l${randomUUID()}`;
      let found: Found;
      try {
        found = await this.#find(key, lease, isKept ? this.#kept.get(name) : undefined);
      } catch (error) {
        this.#failed(error);
        return this.#loadAlone(name, load);
      }
      // A reader that waited for another process's load counts as a miss.
      if ((found.kind === 'value' || found.kind === 'kept') && !missed) this.#counts.hits += 1;
      if (found.kind === 'kept') return valueOfType<T>(found);
      if (found.kind === 'value') {
        const value: T = JSON.parse(found.json);
        if (isKept) this.#keep(name, found.stamp, value);
        return value;
      }
      if (!missed) this.#counts.misses += 1;
      missed = true;
      if (found.kind === 'mine')
        return this.#share(name, lease, () => this.#loadAndStore({ key, lease, load, isKept }));
      const shared = this.#loads.get(name);
      if (shared?.lease === found.lease) return valueOfType<T>(shared);
      if (performance.now() > until) return this.#loadCounted(load);
      await delay(this.#options.pollMs);
    }
  }

  /** Reads a key. Writes `lease` where the key is absent or damaged. */
  async #find(key: string, lease: string, before: Kept | undefined): Promise<Found> {
    const { redis, leaseMs, onDamaged } = this.#options;
    try {
      if (before !== undefined && (await redis.getrange(key, -STAMP_LENGTH, -1)) === before.stamp)
        return { kind: 'kept', value: before.value };
      const held = (await redis.get(key)) ?? (await redis.set(key, lease, 'PX', leaseMs, 'NX', 'GET'));
      if (held === null) return { kind: 'mine' };
      if (held.startsWith('l') && held.length <= LEASE_LENGTH_MAX) return { kind: 'theirs', lease: held };
      const json = held.startsWith('v') ? unsealJson(held.slice(1)) : undefined;
      if (json !== undefined) return { kind: 'value', json, stamp: stampOf(held) };
    } catch (error) {
      if (!isWrongType(error)) throw error;
    }
    onDamaged();
    await redis.eval(REPLACE, 1, key, lease, leaseMs);
    return { kind: 'mine' };
  }

  #keep(name: string, stamp: string | undefined, value: unknown): void {
    if (this.#kept.size >= KEPT_MAX) this.#kept.clear();
    if (stamp === undefined) this.#kept.delete(name);
    else this.#kept.set(name, { stamp, value: Promise.resolve(value) });
  }

  #failed(error: unknown): void {
    this.#counts.errors += 1;
    this.#options.onError(error);
  }

  #loadCounted<T>(load: () => Promise<T>): Promise<T> {
    this.#counts.loads += 1;
    return load();
  }

  #share<T>(name: string, lease: string, run: () => Promise<T>): Promise<T> {
    const shared: SharedLoad = { lease, value: run() };
    this.#loads.set(name, shared);
    const remove = () => {
      if (this.#loads.get(name) === shared) this.#loads.delete(name);
    };
    shared.value.then(remove, remove);
    return valueOfType<T>(shared);
  }

  async #loadAndStore<T>({ key, lease, load, isKept }: StoreParams<T>): Promise<T> {
    const { redis, ttlMs } = this.#options;
    const failed = (error: unknown) => this.#failed(error);
    let value: T;
    try {
      value = await this.#loadCounted(load);
    } catch (error) {
      await redis.eval(RELEASE, 1, key, lease).catch(failed);
      throw error;
    }
    const json = JSON.stringify(value);
    const sealed = sealJson(isKept ? stampJson(json) : json);
    await redis.eval(STORE, 1, key, lease, `v${sealed}`, ttlMs).catch(failed);
    return value;
  }

  /**
   * Loads without the cache. An invalidation removes the shared load, so that no later reader joins a load from before the
   * invalidation.
   */
  #loadAlone<T>(name: string, load: () => Promise<T>): Promise<T> {
    const shared = this.#loads.get(name);
    if (shared) return valueOfType<T>(shared);
    return this.#share(name, '', () => this.#loadCounted(load));
  }

  async #repeatDeletions(): Promise<void> {
    if (this.#isRetrying) return;
    this.#isRetrying = true;
    while (this.#undeleted.size > 0 && !this.#closed.signal.aborted) {
      await delay(RETRY_MS, undefined, { signal: this.#closed.signal, ref: false }).catch(() => {});
      for (const name of this.#undeleted) {
        try {
          await this.#options.redis.del(this.#options.keys.query(name));
          this.#undeleted.delete(name);
        } catch {
          break;
        }
      }
    }
    this.#isRetrying = false;
  }
}

/**
 * Which tenant an API key belongs to, remembered for some seconds. Known keys, unknown keys, and unknown keys without a
 * checksum are looked up by three batchers that share nothing. So a flood of unknown keys delays no caller whose key this
 * process knows, and a flood of unknown keys in the form of 0.1.0 delays no new caller either.
 */

import { Batcher } from '@millrace/shared/batching/batcher';
import { ApiError } from '@millrace/shared/errors';
import { formOfKey, hashOfKey, type KeyForm } from '@millrace/shared/tenants/api-keys';
import { LRUCache } from 'lru-cache';

/** A revoked or expired key is refused after this time at the latest, and a new key works after this time at the latest. */
export const KEY_TRUST_MS = 5_000;
/** How long a known key keeps its batcher after its last use. */
const KNOWN_MS = 3_600_000;
const KNOWN_MAX = 10_000;
/** Each takes some 200 bytes. */
const REFUSED_MAX = 20_000;
/** Keys of one look-up. A batcher has few look-ups in progress, and each look-up takes all keys that gathered meanwhile. */
const KEYS_AT_ONCE = 256;
/** Look-ups of full batches that one batcher has in progress at once. */
const LOOK_UPS_MAX = 4;
/** Keys that may wait for a look-up of their batcher. */
const WAITING_MAX = 4_096;

/** For each hash of a key, in their order, its tenant; undefined for a key that is unknown, revoked or expired. */
export type FindTenants = (hashes: readonly Buffer[]) => Promise<(string | undefined)[]>;

export interface KnownKeysDeps {
  /** Looks up keys that were good before: on the pool of the callers. */
  findKnown: FindTenants;
  /** Looks up keys that this process never saw good, by their form: each on a connection of its own. */
  findUnknown: Readonly<Record<KeyForm, FindTenants>>;
  /** Milliseconds of a clock that never goes back. */
  now?: () => number;
}

interface Known {
  tenant: string;
  until: number;
}

export class KnownKeys {
  readonly #now: () => number;
  readonly #known = new LRUCache<string, Known>({ max: KNOWN_MAX });
  /** Until when a key counts as unknown. A separate cache: the number of unknown keys has no limit, and unknown keys must not evict known keys. */
  readonly #refused = new LRUCache<string, number>({ max: REFUSED_MAX });
  readonly #pending = new Map<string, Promise<string | undefined>>();
  readonly #batchers: Readonly<Record<KeyForm | 'known', Batcher<Buffer, string | undefined>>>;

  constructor({ findKnown, findUnknown, now = () => performance.now() }: KnownKeysDeps) {
    this.#now = now;
    const batcherOf = (run: FindTenants) => new Batcher({ run, maxItems: KEYS_AT_ONCE, fullConcurrency: LOOK_UPS_MAX });
    this.#batchers = {
      known: batcherOf(findKnown),
      checked: batcherOf(findUnknown.checked),
      unchecked: batcherOf(findUnknown.unchecked),
    };
  }

  /**
   * The tenant of a key; undefined for a key that is unknown, revoked or expired. Returns a known tenant without a promise.
   * Rejects if Postgres does not respond, and with `store_unavailable` if too many unknown keys wait.
   */
  tenantOf(key: string): string | undefined | Promise<string | undefined> {
    const form = formOfKey(key);
    if (form === undefined) return undefined;
    const hash = hashOfKey(key);
    // No key itself stays in memory.
    const name = hash.toString('base64');
    const now = this.#now();
    const known = this.#known.get(name);
    if (known && now < known.until) return known.tenant;
    if (now < (this.#refused.get(name) ?? 0)) return undefined;
    return this.#pending.get(name) ?? this.#lookUp(name, hash, known && now < known.until + KNOWN_MS ? 'known' : form);
  }

  #lookUp(name: string, hash: Buffer, by: KeyForm | 'known'): Promise<string | undefined> {
    const batcher = this.#batchers[by];
    if (batcher.waiting >= WAITING_MAX) {
      const detail = 'Too many unknown API keys are being looked up: try again.';
      return Promise.reject(new ApiError('store_unavailable', detail, { retryAfterS: 1 }));
    }
    // The trust time starts before the look-up, so that a key that is revoked during the look-up expires in time too.
    const startedAt = this.#now();
    const pending = batcher
      .add(hash)
      .then((tenant) => this.#settle(name, tenant, startedAt + KEY_TRUST_MS))
      .finally(() => this.#pending.delete(name));
    this.#pending.set(name, pending);
    return pending;
  }

  #settle(name: string, tenant: string | undefined, until: number): string | undefined {
    if (tenant === undefined) {
      this.#known.delete(name);
      this.#refused.set(name, until);
    } else {
      this.#refused.delete(name);
      this.#known.set(name, { tenant, until });
    }
    return tenant;
  }
}

/**
 * Which tenant an API key belongs to, kept for some seconds. Known keys, unknown keys, and unknown keys without a
 * checksum are looked up by three batchers that share nothing. So a flood of unknown keys delays no caller whose key this
 * process knows, and a flood of unknown keys in the form of 0.1.0 delays no new caller either.
 */

import { Batcher } from '@millrace/shared/batching/batcher';
import { ApiError } from '@millrace/shared/errors';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { formOfKey, hashOfKey, type KeyForm, type KeyOwner } from '@millrace/shared/tenants/api-keys';
import { LRUCache } from 'lru-cache';

/** A revoked or expired key is refused after this time at the latest, and a new key works after this time at the latest. */
export const KEY_TRUST_MS = 5_000;
/** From this age on, a use of a known key starts a look-up in the background, so that a slow Postgres delays no caller. */
const REFRESH_MS = KEY_TRUST_MS / 2;
/** The pause between two look-ups of a known key while Postgres does not respond. */
const RETRY_MS = 500;
/** How long a known key stays in use after its last look-up while Postgres does not respond. */
export const KEY_OUTAGE_MS = 3_600_000;
const KNOWN_MAX = 10_000;
/** Each takes some 200 bytes. */
const REFUSED_MAX = 20_000;
/** Keys of one look-up. A batcher has few look-ups in progress, and each look-up takes all keys that gathered meanwhile. */
const KEYS_AT_ONCE = 256;
/** Look-ups of full batches that one batcher has in progress at once. */
const LOOK_UPS_MAX = 4;
/** Keys that may wait for a look-up of their batcher. */
const WAITING_MAX = 4_096;

/** For each hash of a key, in their order, its owner; undefined for a key that is unknown, revoked or expired. */
export type FindOwners = (hashes: readonly Buffer[]) => Promise<(KeyOwner | undefined)[]>;

export interface KnownKeysDeps {
  /** The form of a key. Default: of an API key. */
  formOf?: (key: string) => KeyForm | undefined;
  /** Looks up keys that were good before: on the pool of the callers. */
  findKnown: FindOwners;
  /** Looks up keys that were never valid in this process. Each form of keys has its own connection. */
  findUnknown: Readonly<Record<KeyForm, FindOwners>>;
  /** Milliseconds of a clock that never goes back. */
  now?: () => number;
}

interface Known extends KeyOwner {
  /** The last successful look-up in Postgres. */
  confirmedAt: number;
  /** When a use starts a look-up in the background. */
  refreshAt: number;
  /** When a use waits for a look-up. */
  until: number;
}

export class KnownKeys {
  readonly #formOf: (key: string) => KeyForm | undefined;
  readonly #now: () => number;
  readonly #known = new LRUCache<string, Known>({ max: KNOWN_MAX });
  /** Until when a key counts as unknown. A separate cache: the number of unknown keys has no limit, and unknown keys must not evict known keys. */
  readonly #refused = new LRUCache<string, number>({ max: REFUSED_MAX });
  readonly #pending = new Map<string, Promise<string | undefined>>();
  readonly #batchers: Readonly<Record<KeyForm | 'known', Batcher<Buffer, KeyOwner | undefined>>>;

  constructor({ findKnown, findUnknown, formOf = formOfKey, now = () => performance.now() }: KnownKeysDeps) {
    this.#formOf = formOf;
    this.#now = now;
    const batcherOf = (run: FindOwners) => new Batcher({ run, maxItems: KEYS_AT_ONCE, fullConcurrency: LOOK_UPS_MAX });
    this.#batchers = {
      known: batcherOf(findKnown),
      checked: batcherOf(findUnknown.checked),
      unchecked: batcherOf(findUnknown.unchecked),
    };
  }

  /**
   * The tenant of a key; undefined for a key that is unknown, revoked or expired. Returns a known tenant without a promise.
   * While Postgres does not respond, a known key keeps its tenant. Rejects if Postgres does not respond for another key, and
   * with `store_unavailable` if too many unknown keys wait.
   */
  tenantOf(key: string): string | undefined | Promise<string | undefined> {
    const form = this.#formOf(key);
    if (form === undefined) return undefined;
    const hash = hashOfKey(key);
    // No key itself stays in memory.
    const name = hash.toString('base64');
    const now = this.#now();
    const known = this.#known.get(name);
    if (known && now < known.until) {
      if (isExpired(known)) return undefined;
      // The look-up reports its failure only to the callers who wait for the look-up.
      if (now >= known.refreshAt && !this.#pending.has(name)) this.#lookUp(name, hash, form).catch(() => {});
      return known.tenant;
    }
    if (now < (this.#refused.get(name) ?? 0)) return undefined;
    return this.#pending.get(name) ?? this.#lookUp(name, hash, form);
  }

  #lookUp(name: string, hash: Buffer, form: KeyForm): Promise<string | undefined> {
    // The trust time starts before the look-up, so that a key that is revoked during the look-up expires in time too.
    const startedAt = this.#now();
    const known = this.#known.get(name);
    const isKnown = known !== undefined && startedAt < known.confirmedAt + KEY_OUTAGE_MS;
    const batcher = this.#batchers[isKnown ? 'known' : form];
    if (batcher.waiting >= WAITING_MAX && !isKnown) {
      const detail = 'Too many unknown API keys are being looked up: try again.';
      return Promise.reject(new ApiError('store_unavailable', detail, { retryAfterS: 1 }));
    }
    const found = batcher.waiting >= WAITING_MAX ? Promise.reject(new Error('too many keys wait')) : batcher.add(hash);
    const pending = found
      .then(
        (owner) => this.#settle(name, owner, startedAt),
        (error: unknown) => {
          if (isKnown) return this.#keep(known);
          throw error;
        },
      )
      .finally(() => this.#pending.delete(name));
    this.#pending.set(name, pending);
    return pending;
  }

  #settle(name: string, owner: KeyOwner | undefined, startedAt: number): string | undefined {
    if (owner === undefined) {
      this.#known.delete(name);
      this.#refused.set(name, startedAt + KEY_TRUST_MS);
      return undefined;
    }
    this.#refused.delete(name);
    this.#known.set(name, {
      ...owner,
      confirmedAt: startedAt,
      refreshAt: startedAt + REFRESH_MS,
      until: startedAt + KEY_TRUST_MS,
    });
    return owner.tenant;
  }

  /** Keeps a known key in use while Postgres does not respond. */
  #keep(known: Known): string | undefined {
    const now = this.#now();
    known.refreshAt = now + RETRY_MS;
    known.until = now + KEY_TRUST_MS;
    return isExpired(known) ? undefined : known.tenant;
  }
}

/** Postgres, which has the clock of the keys, may be away. */
const isExpired = ({ expiresAt }: KeyOwner): boolean => expiresAt !== null && expiresAt <= sharedNow();

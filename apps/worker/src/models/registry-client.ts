/** The registry operations of a worker. Every change is announced to all processes. */
import { setTimeout as delay } from 'node:timers/promises';
import type { ReadThrough } from '@millrace/shared/cache/read-through';
import type { Entity } from '@millrace/shared/entities/entity';
import { newestSetQuery } from '@millrace/shared/entities/entity-queries';
import { upsertEntitySet } from '@millrace/shared/entities/entity-table';
import { ApiError } from '@millrace/shared/errors';
import type { CardFiles } from '@millrace/shared/model-files/card-files';
import { inTransaction, type Pool } from '@millrace/shared/postgres/db';
import type { Connection } from '@millrace/shared/redis/connection';
import type { Keys } from '@millrace/shared/redis/keys';
import { cardDigests, storeCard } from '@millrace/shared/registry/model-cards';
import {
  bumpCacheEpoch,
  loadOwnModels,
  registerVersion,
  setFoundDigest,
  setVersionState,
} from '@millrace/shared/registry/registry';
import { announceRegistryChange } from '@millrace/shared/registry/registry-cache';
import type { ModelVersion, VersionState } from '@millrace/shared/registry/registry-types';

const TENANT = 'default';

export interface RegistryClientDeps {
  pool: Pool;
  redis: Connection;
  keys: Keys;
  readThrough: ReadThrough;
}

export class RegistryClient {
  readonly #pool: Pool;
  readonly #readThrough: ReadThrough;
  readonly #announce: () => Promise<void>;

  constructor({ pool, redis, keys, readThrough }: RegistryClientDeps) {
    this.#pool = pool;
    this.#readThrough = readThrough;
    const publish = (tenant: string) => redis.publish(keys.registryChannel(), tenant);
    this.#announce = createAnnouncer(() => announceRegistryChange({ readThrough, tenant: TENANT, publish }));
  }

  /** Every version of the default tenant, in any state. */
  async list(): Promise<readonly ModelVersion[]> {
    return (await loadOwnModels(this.#pool, TENANT)).flatMap(({ versions }) => versions);
  }

  /**
   * Registers a version. Returns `known` for a version with the same digest, and `conflict` for a version with another digest,
   * which stays as it is. A failed version is replaced. `purge`: the cached results of the model are invalid under the new
   * settings.
   */
  async register(version: ModelVersion, { purge } = { purge: false }): Promise<'registered' | 'known' | 'conflict'> {
    try {
      // One transaction, so that no process sees the new settings with the old results, or the other way round.
      const { outcome } = purge
        ? await inTransaction(this.#pool, async (db) => {
            await bumpCacheEpoch(db, version.tenant, version.model);
            return registerVersion(db, version);
          })
        : await registerVersion(this.#pool, version);
      // A loading version is announced when its loading has ended.
      if (outcome !== 'known' && version.state !== 'loading') await this.#announce();
      return outcome === 'known' ? 'known' : 'registered';
    } catch (error) {
      if (error instanceof ApiError && error.code === 'digest_mismatch') return 'conflict';
      throw error;
    }
  }

  async setState(version: ModelVersion, state: VersionState, reason: string | null): Promise<void> {
    if (await setVersionState(this.#pool, version, { state, reason })) await this.#announce();
  }

  /** Stores the digest of different files under a version's name, or null when the folder has the registered files. */
  async setFound({ model, version }: Pick<ModelVersion, 'model' | 'version'>, digest: string | null): Promise<void> {
    if (await setFoundDigest(this.#pool, { tenant: TENANT, model, version }, digest)) await this.#announce();
  }

  /** The digests of the stored cards, by `model/version`. */
  cardDigests(): Promise<ReadonlyMap<string, string>> {
    return cardDigests(this.#pool, TENANT);
  }

  /** Stores the card of a registered version. Nothing is announced: a card is read from Postgres. */
  storeCard({ model, version }: Pick<ModelVersion, 'model' | 'version'>, card: CardFiles): Promise<void> {
    return storeCard(this.#pool, { tenant: TENANT, model, version }, card);
  }

  /** Stores the rows of an entity under their digest. Repeated calls store the rows once. */
  async storeEntities(entity: string, digest: string, rows: readonly Entity[]): Promise<void> {
    await upsertEntitySet(this.#pool, { tenant: TENANT, entity, rows, digest });
    await this.#readThrough.invalidate(newestSetQuery(TENANT, entity));
  }
}

/** The longest delay of an announcement while changes follow each other. */
const ANNOUNCE_EVERY_MS = 250;

/**
 * Announces the first change at once, and the changes of the next ANNOUNCE_EVERY_MS together. Without this limit every process
 * would read the whole registry for each of thousands of new versions. Resolves when the change is announced.
 */
function createAnnouncer(announce: () => Promise<void>): () => Promise<void> {
  let next: Promise<void> | undefined;
  let last: Promise<void> = Promise.resolve();
  let lastAt = Number.NEGATIVE_INFINITY;
  return () => {
    next ??= last
      .catch(() => {})
      .then(() => delay(Math.max(0, lastAt + ANNOUNCE_EVERY_MS - performance.now())))
      .then(() => {
        lastAt = performance.now();
        last = announce();
        next = undefined;
        return last;
      });
    return next;
  };
}

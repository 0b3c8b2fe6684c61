/** The registry in Postgres as the models of a worker use it; every change is announced to all processes. */
import { setTimeout as delay } from 'node:timers/promises';
import type { ReadThrough } from '@millrace/shared/cache/read-through';
import { newestSetQuery } from '@millrace/shared/entities/entity-queries';
import { upsertEntitySet } from '@millrace/shared/entities/entity-table';
import { ApiError } from '@millrace/shared/errors';
import { inTransaction, type Pool } from '@millrace/shared/postgres/db';
import type { Connection } from '@millrace/shared/redis/connection';
import type { Keys } from '@millrace/shared/redis/keys';
import {
  bumpCacheEpoch,
  loadOwnModels,
  registerVersion,
  setFoundDigest,
  setVersionState,
} from '@millrace/shared/registry/registry';
import { announceRegistryChange } from '@millrace/shared/registry/registry-cache';
import type { RegistryPort } from './registry-port.ts';

const TENANT = 'default';

export function createRegistryPort(deps: {
  pool: Pool;
  redis: Connection;
  keys: Keys;
  readThrough: ReadThrough;
}): RegistryPort {
  const { pool, redis, keys, readThrough } = deps;
  const publish = (tenant: string) => redis.publish(keys.registryChannel(), tenant);
  const announce = createAnnouncer(() => announceRegistryChange({ readThrough, tenant: TENANT, publish }));
  return {
    async list() {
      return (await loadOwnModels(pool, TENANT)).flatMap(({ versions }) => versions);
    },
    async register(version, { purge } = { purge: false }) {
      try {
        // Together, so that no process ever sees the new settings with the old results, or the other way round.
        const { outcome } = purge
          ? await inTransaction(pool, async (db) => {
              await bumpCacheEpoch(db, version.tenant, version.model);
              return registerVersion(db, version);
            })
          : await registerVersion(pool, version);
        // What is loading is told of when it is ready or has failed: that comes next.
        if (outcome !== 'known' && version.state !== 'loading') await announce();
        return outcome === 'known' ? 'known' : 'registered';
      } catch (error) {
        if (error instanceof ApiError && error.code === 'digest_mismatch') return 'conflict';
        throw error;
      }
    },
    async setState(version, state, reason) {
      if (await setVersionState(pool, version, state, reason)) await announce();
    },
    async setFound({ model, version }, digest) {
      if (await setFoundDigest(pool, { tenant: TENANT, model, version }, digest)) await announce();
    },
    async storeEntities(entity, digest, rows) {
      await upsertEntitySet(pool, TENANT, entity, rows, digest);
      await readThrough.invalidate(newestSetQuery(TENANT, entity));
    },
  };
}

/** The longest that a change may go untold while others come one upon the other. */
const UNTOLD_MS = 250;

/**
 * Tells of a change at once, and of all that come within the next quarter of a second together: thousands of new
 * versions would otherwise have every process read the whole registry anew for each. Resolves when the change is told.
 */
function createAnnouncer(tell: () => Promise<void>): () => Promise<void> {
  let next: Promise<void> | undefined;
  let last: Promise<void> = Promise.resolve();
  let lastAt = Number.NEGATIVE_INFINITY;
  return () => {
    next ??= last
      .catch(() => {})
      .then(() => delay(Math.max(0, lastAt + UNTOLD_MS - performance.now())))
      .then(() => {
        lastAt = performance.now();
        last = tell();
        next = undefined;
        return last;
      });
    return next;
  };
}

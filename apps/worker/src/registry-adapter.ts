/** The registry in Postgres as the models of a worker use it; every change is announced to all processes. */
import type { Pool } from '@millrace/shared/db';
import { upsertEntitySet } from '@millrace/shared/entities-store';
import { newestSetQuery } from '@millrace/shared/entity-queries';
import { ApiError } from '@millrace/shared/errors';
import type { Keys } from '@millrace/shared/keys';
import type { ReadThrough } from '@millrace/shared/read-through';
import type { Connection } from '@millrace/shared/redis';
import { loadOwnModels, registerVersion, setVersionState } from '@millrace/shared/registry';
import { announceRegistryChange } from '@millrace/shared/registry-cache';
import type { RegistryPort } from './models/registry-port.ts';

const TENANT = 'default';

export function createRegistryPort(means: {
  pool: Pool;
  redis: Connection;
  keys: Keys;
  readThrough: ReadThrough;
}): RegistryPort {
  const { pool, redis, keys, readThrough } = means;
  const announce = () => announceRegistryChange({ redis, keys, readThrough, tenant: TENANT });
  return {
    async list() {
      return (await loadOwnModels(pool, TENANT)).flatMap(({ versions }) => versions);
    },
    async register(version) {
      try {
        const { outcome } = await registerVersion(pool, version);
        if (outcome !== 'known') await announce();
        return outcome === 'known' ? 'known' : 'registered';
      } catch (error) {
        if (error instanceof ApiError && error.code === 'digest_mismatch') return 'conflict';
        throw error;
      }
    },
    async setState(version, state, reason) {
      if (await setVersionState(pool, version, state, reason)) await announce();
    },
    async storeEntities(entity, digest, rows) {
      await upsertEntitySet(pool, TENANT, entity, rows, digest);
      await readThrough.invalidate(newestSetQuery(TENANT, entity));
    },
  };
}

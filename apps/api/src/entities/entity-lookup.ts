/** Looks up entities for autocompletion, display and canonical forms, through the cache. */

import type { ReadThrough } from '@millrace/shared/cache/read-through';
import type { Entities, Entity } from '@millrace/shared/entities/entity';
import { buildEntities } from '@millrace/shared/entities/entity-index';
import { newestSetQuery } from '@millrace/shared/entities/entity-queries';
import { findInSet, loadEntityNames, newestOwnSet, searchSet } from '@millrace/shared/entities/entity-table';
import type { Db } from '@millrace/shared/postgres/db';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import { fold } from '@millrace/shared/text/fold';
import { LRUCache } from 'lru-cache';
import { fromStore } from '../stores/store-errors.ts';

/** The number of sets whose index of names is kept. */
const INDEXES_MAX = 8;

/** Each method throws `store_unavailable` if the cache misses and Postgres does not respond. */
export interface EntityLookup {
  /** The entities with a name or alias that begins with or contains `q`; null for an unknown kind of entity. */
  search(tenant: string, entity: string, q: string, limit: number): Promise<Entity[] | null>;
  /** The entity with this key, name or alias, or similar names in `near`; null for an unknown kind of entity. */
  find(tenant: string, entity: string, key: string): Promise<{ found: Entity } | { near: string[] } | null>;
}

/** The cache key of a query contains the digest of the set, so that no cached row outlives the set. */
export function createEntityLookup(cache: ReadThrough, db: Db): EntityLookup {
  /** An index of many names takes long to build, so the index is built once for each set, not for each unknown name. */
  const indexes = new LRUCache<string, Entities>({ max: INDEXES_MAX });
  const read = <T>(name: string, load: () => Promise<T>): Promise<T> => fromStore('Postgres', cache.get(name, load));
  const newestOwn = (tenant: string, entity: string) =>
    read(newestSetQuery(tenant, entity), async () => (await newestOwnSet(db, tenant, entity)) ?? null);
  // Each owner's set has its own cache entry, so that a change of the shared set reaches every tenant.
  const newest = async (tenant: string, entity: string) =>
    (await newestOwn(tenant, entity)) ?? (tenant === 'default' ? null : newestOwn('default', entity));
  return {
    async search(tenant, entity, q, limit) {
      const digest = await newest(tenant, entity);
      if (digest === null) return null;
      const name = `entity-search:${digest}:${limit}:${fold(q)}`;
      return read(name, () => searchSet(db, digest, { q, limit }));
    },
    async find(tenant, entity, key) {
      const digest = await newest(tenant, entity);
      if (digest === null) return null;
      const found = await read(`entity:${digest}:${fold(key)}`, async () => (await findInSet(db, digest, key)) ?? null);
      if (found) return { found };
      const name = `${entity}:${digest}`;
      let index = indexes.get(name);
      if (!index) {
        index = buildEntities({ [entity]: await namesOf(cache, db, digest) });
        indexes.set(name, index);
      }
      return { near: index.near(entity, key, 3) };
    },
  };
}

const namesOf = (cache: ReadThrough, db: Db, digest: string): Promise<Entity[]> =>
  fromStore(
    'Postgres',
    cache.get(`entity-names:${digest}`, () => loadEntityNames(db, digest)),
  );

/** The entities, without vectors, of every set that a version reads. */
export async function entitiesOfVersion(
  cache: ReadThrough,
  db: Db,
  version: ModelVersion,
): Promise<Record<string, Entity[]>> {
  const sets = Object.entries(version.entitySets).map(
    async ([entity, digest]) => [entity, await namesOf(cache, db, digest)] as const,
  );
  return Object.fromEntries(await Promise.all(sets));
}

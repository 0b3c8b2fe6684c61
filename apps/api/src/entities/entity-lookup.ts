/** Looks up entities for autocompletion, display and canonical forms, through the cache. */

import type { ReadThrough } from '@millrace/shared/cache/read-through';
import type { Entities, Entity } from '@millrace/shared/entities/entity';
import { buildEntities } from '@millrace/shared/entities/entity-index';
import {
  countSet,
  type Found,
  findInSet,
  loadEntityNames,
  type SearchParams,
  searchSet,
} from '@millrace/shared/entities/entity-table';
import type { Db } from '@millrace/shared/postgres/db';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import { fold } from '@millrace/shared/text/fold';
import { LRUCache } from 'lru-cache';
import { fromStore } from '../http/store-errors.ts';

/** The largest number of indexes in memory. An index finds the entities of one set by name. */
const INDEXES_MAX = 8;

/**
 * A set has all entities of one CSV file, and `digest` identifies the set. Each method throws `store_unavailable` if the cache misses
 * and Postgres does not respond.
 */
export interface EntityLookup {
  /** The number of entities in the set. */
  count(digest: string): Promise<number>;
  /**
   * A page of the entities with a name or alias that begins with or contains `q`. If there are none: the entities with the most
   * similar names, without a further page.
   */
  search(digest: string, search: SearchParams): Promise<Found[]>;
  /** The entity with this key, name or alias, or similar names in `near`. */
  find(digest: string, key: string): Promise<{ found: Entity } | { near: string[] }>;
}

/** The largest number of similar names in a search result or an error. */
const NEAR_MAX = 3;
/** `buildEntities` needs a name for the type. An index of one set has only this type. */
const TYPE = 'entity';

/** The cache key of a query contains the digest of the set, so that no cached row outlives the set. */
export function createEntityLookup(cache: ReadThrough, db: Db): EntityLookup {
  /** An index of many names takes long to build, so the index is built once for each set, not for each unknown name. */
  const indexes = new LRUCache<string, Entities>({ max: INDEXES_MAX });
  const read = <T>(name: string, load: () => Promise<T>): Promise<T> => fromStore('Postgres', cache.get(name, load));

  async function indexOf(digest: string): Promise<Entities> {
    const known = indexes.get(digest);
    if (known) return known;
    const index = buildEntities({ [TYPE]: await namesOf(cache, db, digest) });
    indexes.set(digest, index);
    return index;
  }

  async function similar(digest: string, q: string): Promise<Found[]> {
    const index = await indexOf(digest);
    return index.near(TYPE, q, NEAR_MAX).flatMap((name, at) => {
      const entity = index.find(TYPE, name);
      return entity ? [{ entity, place: [0, name, at] as const }] : [];
    });
  }

  return {
    count: (digest) => read(`entity-count:${digest}`, () => countSet(db, digest)),
    async search(digest, { q, limit, after }) {
      const name = `entity-page:${digest}:${limit}:${JSON.stringify([fold(q), after])}`;
      const rows = await read(name, () => searchSet(db, digest, { q, limit, after }));
      return rows.length === 0 && after === null && q !== '' ? similar(digest, q) : rows;
    },
    async find(digest, key) {
      const found = await read(`entity:${digest}:${fold(key)}`, async () => (await findInSet(db, digest, key)) ?? null);
      return found ? { found } : { near: (await indexOf(digest)).near(TYPE, key, NEAR_MAX) };
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

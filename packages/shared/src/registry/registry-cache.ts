/** Reads the registry through the cache, and announces changes of the registry to every process. */

import type { Db } from '../postgres/db.ts';
import { loadOwnModels, mergeRegistries } from './registry.ts';
import type { RegistrySnapshot } from './registry-types.ts';

/** The cache of queries (cache/read-through.ts). */
interface QueryCache {
  getKept<T>(query: string, load: () => Promise<T>): Promise<T>;
  invalidate(query: string): Promise<void>;
}

// Each tenant has its own cache entry, so that a change of the default tenant's models reaches every tenant that shares these models.
const queryOf = (tenant: string): string => `registry:${tenant}`;

/** The models that a tenant can use: the result of loadRegistry, read through the cache. */
export async function readRegistry(
  readThrough: Pick<QueryCache, 'getKept'>,
  db: Db,
  tenant: string,
): Promise<RegistrySnapshot> {
  const ownModels = (owner: string) => readThrough.getKept(queryOf(owner), () => loadOwnModels(db, owner));
  const [own, shared] = await Promise.all([ownModels(tenant), tenant === 'default' ? [] : ownModels('default')]);
  return mergeRegistries(own, shared);
}

export interface Announcement {
  readThrough: Pick<QueryCache, 'invalidate'>;
  tenant: string;
  /** Publishes the tenant on the registry's channel of the queue Redis. */
  publish(tenant: string): Promise<unknown>;
}

/**
 * Announces to every process that a tenant's registry has changed. Call this function after the commit. The cached copy is
 * invalidated first, so that listeners of the message read a new copy. The message contains the tenant. A message can be lost,
 * so listeners must also poll.
 */
export async function announceRegistryChange({ readThrough, tenant, publish }: Announcement): Promise<void> {
  await readThrough.invalidate(queryOf(tenant));
  await publish(tenant);
}

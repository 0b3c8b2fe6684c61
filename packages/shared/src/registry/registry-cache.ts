/** The registry through the cache, and how a change of it reaches every process. */

import type { ReadThrough } from '../cache/read-through.ts';
import type { Db } from '../postgres/db.ts';
import { loadOwnModels, mergeRegistries } from './registry.ts';
import type { RegistrySnapshot } from './registry-types.ts';

// Cached tenant by tenant: a change of the default tenant's models then reaches all who share them.
const queryOf = (tenant: string): string => `registry:${tenant}`;

/** What a tenant can use, as loadRegistry gives it, through the cache. */
export async function readRegistry(readThrough: ReadThrough, db: Db, tenant: string): Promise<RegistrySnapshot> {
  const ownModels = (whose: string) => readThrough.get(queryOf(whose), () => loadOwnModels(db, whose));
  const [own, shared] = await Promise.all([ownModels(tenant), tenant === 'default' ? [] : ownModels('default')]);
  return mergeRegistries(own, shared);
}

export interface Announcement {
  readThrough: ReadThrough;
  tenant: string;
  /** Publishes the tenant on the registry's channel of the queue Redis. */
  publish(tenant: string): Promise<unknown>;
}

/**
 * Tells every process that a tenant's registry has changed; call it when the change is committed. The cached copy goes
 * first: who hears of the change then reads a new one. Listeners get the tenant as the message, and must not rely on it
 * alone: it can be missed.
 */
export async function announceRegistryChange({ readThrough, tenant, publish }: Announcement): Promise<void> {
  await readThrough.invalidate(queryOf(tenant));
  await publish(tenant);
}

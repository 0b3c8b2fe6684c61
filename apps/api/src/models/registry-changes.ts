/** Changes of the registry that callers may make; each is told to every process before it resolves. */

import { ApiError } from '@millrace/shared/errors';
import type { Db } from '@millrace/shared/postgres/db';
import { removeAlias, setAlias } from '@millrace/shared/registry/aliases';
import { bumpCacheEpoch } from '@millrace/shared/registry/registry';
import { type Announcement, announceRegistryChange } from '@millrace/shared/registry/registry-cache';
import { fromStore } from '../stores/store-errors.ts';
import type { Catalog } from './catalog.ts';

export interface RegistryChanges {
  /** Throws `model_not_found`, `version_not_found`, or `conflict` where a version has that name. */
  setAlias(tenant: string, model: string, alias: string, version: string): Promise<void>;
  /** Throws `model_not_found`, or `version_not_found` where there is no such alias. */
  removeAlias(tenant: string, model: string, alias: string): Promise<void>;
  /** Makes every cached result of a model unknown. */
  purge(tenant: string, model: string): Promise<void>;
}

export function createRegistryChanges(
  db: Db,
  catalog: Catalog,
  announcement: Omit<Announcement, 'tenant'>,
): RegistryChanges {
  /** A registry is its tenant's: what the default tenant shares with others is not theirs to change. */
  async function change(tenant: string, model: string, write: () => Promise<unknown>): Promise<void> {
    await catalog.model(tenant, model);
    await fromStore('Postgres', write());
    // Committed: from here on it must be told, and a process that does not hear of it looks again within the second.
    await announceRegistryChange({ ...announcement, tenant }).catch(() => {});
    catalog.changed();
  }
  return {
    async setAlias(tenant, model, alias, version) {
      await change(tenant, model, () => setAlias(db, { tenant, model, version }, alias));
    },
    async removeAlias(tenant, model, alias) {
      await change(tenant, model, async () => {
        if (await removeAlias(db, { tenant, model, alias })) return;
        throw new ApiError('version_not_found', `Model '${model}' has no alias '${alias.slice(0, 100)}'.`);
      });
    },
    purge: (tenant, model) => change(tenant, model, () => bumpCacheEpoch(db, tenant, model)),
  };
}

/** The changes that callers make to the registry. Each method resolves after the change is announced to every process. */

import { ApiError } from '@millrace/shared/errors';
import type { Pool } from '@millrace/shared/postgres/db';
import { type AliasChange, removeAlias, retireVersion, setAlias } from '@millrace/shared/registry/aliases';
import { bumpCacheEpoch, setServed, type VersionName } from '@millrace/shared/registry/registry';
import { type Announcement, announceRegistryChange } from '@millrace/shared/registry/registry-cache';
import { fromStore } from '../http/store-errors.ts';
import type { Catalog } from './catalog.ts';

export interface RegistryChanges {
  /** Throws `model_not_found`, `version_not_found`, `alias_conflict` where a version has the name of the alias, or `version_failed`. */
  setAlias(change: AliasChange & { version: string }): Promise<void>;
  /** Throws `model_not_found`, or `alias_not_found` where the model has no such alias. */
  removeAlias(change: AliasChange): Promise<void>;
  /** Takes a version out of service for good. Throws `model_not_found`, `version_not_found`, or `alias_conflict` while an alias points at the version. */
  retire(version: VersionName): Promise<void>;
  /** Makes every cached result of a model invalid. */
  purge(tenant: string, model: string): Promise<void>;
  /** Takes a model out of service, or returns the model to service. Resolves to false where nothing changed. */
  setServed(tenant: string, model: string, served: boolean): Promise<boolean>;
}

export function createRegistryChanges(
  db: Pool,
  catalog: Catalog,
  announcement: Omit<Announcement, 'tenant'>,
): RegistryChanges {
  // The change is committed. A process that misses the announcement reads the registry again within a second.
  const announce = (tenant: string) => announceRegistryChange({ ...announcement, tenant }).catch(() => {});

  /** `write` names the tenant: a tenant changes its own models, and none of the models that the default tenant shares. */
  async function change(tenant: string, model: string, write: () => Promise<unknown>): Promise<void> {
    await catalog.model(tenant, model);
    await fromStore('Postgres', write());
    await announce(tenant);
    catalog.changed();
  }
  return {
    async setAlias({ version, ...alias }) {
      await change(alias.tenant, alias.model, () => setAlias(db, alias, version));
    },
    async removeAlias(removed) {
      const { tenant, model, alias } = removed;
      await change(tenant, model, async () => {
        if (await removeAlias(db, removed)) return;
        throw new ApiError('alias_not_found', `Model '${model}' has no alias '${alias.slice(0, 100)}'.`);
      });
    },
    retire: (name) => change(name.tenant, name.model, () => retireVersion(db, name)),
    purge: (tenant, model) => change(tenant, model, () => bumpCacheEpoch(db, tenant, model)),
    async setServed(tenant, model, served) {
      const changed = await fromStore('Postgres', setServed(db, { tenant, model, served }));
      if (changed > 0) await announce(tenant);
      return changed > 0;
    },
  };
}

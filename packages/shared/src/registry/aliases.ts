/** The aliases of model versions in Postgres, and the retirement of versions, which aliases prevent. */

import { ApiError } from '../errors.ts';
import { type Db, inTransaction, type Pool } from '../postgres/db.ts';
import { compareVersions, type VersionName } from './registry.ts';
import type { VersionState } from './registry-types.ts';

export interface AliasName {
  tenant: string;
  model: string;
  alias: string;
}

export interface AliasChange extends AliasName {
  /** Receives the present target of the alias, or null. Throws where the change must not be made. */
  guard?: ((version: string | null) => void) | undefined;
}

/** Runs a change while no other process changes the alias. */
function exclusively<T>(pool: Pool, { guard, ...name }: AliasChange, change: (db: Db) => Promise<T>): Promise<T> {
  return inTransaction(pool, async (db) => {
    const values = [name.tenant, name.model, name.alias];
    // An alias that does not exist has no row to lock.
    await db.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [JSON.stringify(['alias', ...values])]);
    if (guard) {
      const { rows } = await db.query<{ version: string }>(
        'SELECT version FROM model_aliases WHERE tenant = $1 AND model = $2 AND alias = $3 FOR UPDATE',
        values,
      );
      guard(rows[0]?.version ?? null);
    }
    return change(db);
  });
}

/**
 * Points an alias at a version. Throws ApiError `model_not_found` or `version_not_found`. Throws `alias_conflict` when a version has
 * the name of the alias, which the alias would hide, and when the version serves no requests: requests without a version would
 * then get only errors.
 */
export async function setAlias(pool: Pool, change: AliasChange, version: string): Promise<void> {
  const { tenant, model, alias } = change;
  await exclusively(pool, change, async (db) => {
    const { rows: hidden } = await db.query(
      'SELECT FROM model_versions WHERE tenant = $1 AND model = $2 AND version = $3',
      [tenant, model, alias],
    );
    if (hidden.length > 0)
      throw new ApiError('alias_conflict', `Model '${model}' has a version '${alias}', which the alias would hide.`);
    // The row lock delays a retirement until the retirement can see the alias.
    const { rowCount } = await db.query(
      `INSERT INTO model_aliases (tenant, model, alias, version)
       SELECT tenant, model, $4, version FROM model_versions
        WHERE tenant = $1 AND model = $2 AND version = $3 AND state IN ('loading', 'ready')
          FOR SHARE
       ON CONFLICT (tenant, model, alias) DO UPDATE SET version = excluded.version`,
      [tenant, model, version, alias],
    );
    if (rowCount === 0) throw await unservedError(db, { tenant, model, version });
  });
}

/** The error for a version that is unknown or serves no requests. */
async function unservedError(db: Db, { tenant, model, version }: VersionName): Promise<ApiError> {
  const { rows } = await db.query<{ version: string; state: VersionState; reason: string | null }>(
    'SELECT version, state, reason FROM model_versions WHERE tenant = $1 AND model = $2',
    [tenant, model],
  );
  if (rows.length === 0) return new ApiError('model_not_found', `There is no model '${model}'.`);
  const found = rows.find((row) => row.version === version);
  if (found) {
    const reason = found.reason ? `: ${found.reason}` : '.';
    return new ApiError('version_failed', `Version ${version} of '${model}' is ${found.state}${reason}`);
  }
  const known = rows.map((row) => row.version).sort(compareVersions);
  const shown = known.slice(-10).join(', ');
  return new ApiError('version_not_found', `Model '${model}' has no version '${version}'. The versions are ${shown}.`, {
    suggestions: known.slice(-10),
  });
}

/** Returns whether the alias existed. */
export function removeAlias(pool: Pool, change: AliasChange): Promise<boolean> {
  const { tenant, model, alias } = change;
  return exclusively(pool, change, async (db) => {
    const { rowCount } = await db.query('DELETE FROM model_aliases WHERE tenant = $1 AND model = $2 AND alias = $3', [
      tenant,
      model,
      alias,
    ]);
    return rowCount === 1;
  });
}

/** Retires a version for good. Throws ApiError `version_not_found`, or `alias_conflict` while an alias points at the version. */
export async function retireVersion(pool: Pool, { tenant, model, version }: VersionName): Promise<void> {
  const name = [tenant, model, version];
  await inTransaction(pool, async (db) => {
    const { rowCount } = await db.query(
      'SELECT FROM model_versions WHERE tenant = $1 AND model = $2 AND version = $3 FOR UPDATE',
      name,
    );
    if (rowCount === 0) throw await unservedError(db, { tenant, model, version });
    const { rows } = await db.query<{ alias: string }>(
      'SELECT alias FROM model_aliases WHERE tenant = $1 AND model = $2 AND version = $3 ORDER BY alias',
      name,
    );
    if (rows.length > 0) {
      const aliases = rows.map(({ alias }) => alias).join(', ');
      throw new ApiError(
        'alias_conflict',
        `Version ${version} of '${model}' cannot be retired: ${aliases} still points at it.`,
      );
    }
    await db.query(
      `UPDATE model_versions SET state = 'retired' WHERE tenant = $1 AND model = $2 AND version = $3`,
      name,
    );
  });
}

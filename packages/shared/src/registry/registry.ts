/** The registry in Postgres: models, their versions and aliases. Whoever writes announces it (registry-cache.ts). */

import { ApiError } from '../errors.ts';
import { type Db, inTransaction, type Pool } from '../postgres/db.ts';
import type { ModelVersion, RegisteredModel, RegistrySnapshot, VersionState } from './registry-types.ts';

/** Which version is meant. */
export interface VersionName {
  tenant: string;
  model: string;
  version: string;
}

export interface Registered {
  /** `known`: it was there with the same digest; `updated`: so it was, with other settings. */
  outcome: 'registered' | 'known' | 'updated';
  /** Of the row, which stays what it was when the version is known. */
  state: VersionState;
}

const PRODUCTION = 'production';
const DEFAULT_TENANT = 'default';

/**
 * Registers a version, together with its model. Safe when many workers do so at once. Versions are immutable: throws
 * ApiError `digest_mismatch` when the version is there with another digest, unless it failed: that one has answered
 * nobody, and is replaced. Settings that stand in no answer follow whoever registers last.
 */
export async function registerVersion(db: Db, version: ModelVersion): Promise<Registered> {
  const { tenant, model, digest } = version;
  await db.query('INSERT INTO tenants (tenant) VALUES ($1) ON CONFLICT DO NOTHING', [tenant]);
  await db.query('INSERT INTO models (tenant, model) VALUES ($1, $2) ON CONFLICT DO NOTHING', [tenant, model]);
  const { rows } = await db.query<{ state: VersionState; inserted: boolean }>(
    `INSERT INTO model_versions AS v (tenant, model, version, digest, state, reason, signature, config, handler_digest,
       input_schema, output_schema, entity_sets, created_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
     ON CONFLICT (tenant, model, version) DO UPDATE
        SET digest = excluded.digest, state = CASE v.state WHEN 'failed' THEN excluded.state ELSE v.state END,
            reason = CASE v.state WHEN 'failed' THEN excluded.reason ELSE v.reason END,
            signature = excluded.signature, config = excluded.config, handler_digest = excluded.handler_digest,
            input_schema = excluded.input_schema, output_schema = excluded.output_schema,
            entity_sets = excluded.entity_sets
      WHERE (v.digest = excluded.digest AND v.config <> excluded.config AND excluded.state <> 'failed')
         OR (v.state = 'failed' AND (v.digest, v.state, v.reason) IS DISTINCT FROM
               (excluded.digest, excluded.state, excluded.reason))
     RETURNING state, xmax = 0 AS inserted`,
    [
      tenant,
      model,
      version.version,
      digest,
      version.state,
      version.reason,
      JSON.stringify(version.signature),
      JSON.stringify(version.config),
      version.handlerDigest,
      jsonOrNull(version.inputSchema),
      jsonOrNull(version.outputSchema),
      JSON.stringify(version.entitySets),
      version.createdAt,
    ],
  );
  if (rows[0]) return { outcome: rows[0].inserted ? 'registered' : 'updated', state: rows[0].state };
  const { rows: known } = await db.query<{ digest: string; state: VersionState }>(
    'SELECT digest, state FROM model_versions WHERE tenant = $1 AND model = $2 AND version = $3',
    [tenant, model, version.version],
  );
  const existing = known[0]!;
  if (existing.digest === digest) return { outcome: 'known', state: existing.state };
  throw new ApiError(
    'digest_mismatch',
    `Version ${version.version} of '${model}' is registered with the digest ${existing.digest.slice(0, 12)}, and this ` +
      `one has ${digest.slice(0, 12)}: versions are immutable, so give it a new number.`,
  );
}

/**
 * Whether this changed anything. What is retired stays so, and what another worker has ready is not `loading` again
 * because one more loads it.
 */
export async function setVersionState(
  db: Db,
  { tenant, model, version }: VersionName,
  state: VersionState,
  reason: string | null = null,
): Promise<boolean> {
  const { rowCount } = await db.query(
    `UPDATE model_versions SET state = $4, reason = $5
      WHERE tenant = $1 AND model = $2 AND version = $3 AND state <> 'retired'
        AND (state, reason) IS DISTINCT FROM ($4, $5) AND NOT (state = 'ready' AND $4 = 'loading')`,
    [tenant, model, version, state, reason],
  );
  return rowCount === 1;
}

/** Notes the digest of other content that was found under a version's name, or null for its own. Whether this changed anything. */
export async function setFoundDigest(db: Db, name: VersionName, digest: string | null): Promise<boolean> {
  const { rowCount } = await db.query(
    `UPDATE model_versions SET found_digest = $4
      WHERE tenant = $1 AND model = $2 AND version = $3 AND found_digest IS DISTINCT FROM $4`,
    [name.tenant, name.model, name.version, digest],
  );
  return rowCount === 1;
}

const UNLOADED = 'It was unloaded on request.';

/**
 * Takes all versions of a model out of service, or those that were taken out so back into it. How many changed. What
 * waits for a version is still answered while it drains.
 */
export async function setServed(db: Db, tenant: string, model: string, served: boolean): Promise<number> {
  const { rowCount } = await db.query(
    served
      ? `UPDATE model_versions SET state = 'ready', reason = NULL
          WHERE tenant = $1 AND model = $2 AND state IN ('draining', 'retired') AND reason = $3`
      : `UPDATE model_versions SET state = 'draining', reason = $3 WHERE tenant = $1 AND model = $2 AND state = 'ready'`,
    [tenant, model, UNLOADED],
  );
  return rowCount ?? 0;
}

/**
 * Points an alias at a version. Throws ApiError: `version_not_found` when there is none, `conflict` when it is none that
 * serves: whoever asks without a version would get nothing but errors from then on.
 */
export async function setAlias(db: Db, name: VersionName, alias: string): Promise<void> {
  const { tenant, model, version } = name;
  // The row lock holds off a retirement until the alias can be seen by it.
  const { rowCount } = await db.query(
    `INSERT INTO model_aliases (tenant, model, alias, version)
     SELECT tenant, model, $4, version FROM model_versions
      WHERE tenant = $1 AND model = $2 AND version = $3 AND state IN ('loading', 'ready')
        FOR SHARE
     ON CONFLICT (tenant, model, alias) DO UPDATE SET version = excluded.version`,
    [tenant, model, version, alias],
  );
  if (rowCount === 0) throw await whyNotServed(db, name);
}

async function whyNotServed(db: Db, { tenant, model, version }: VersionName): Promise<ApiError> {
  const { rows } = await db.query<{ version: string; state: VersionState; reason: string | null }>(
    'SELECT version, state, reason FROM model_versions WHERE tenant = $1 AND model = $2',
    [tenant, model],
  );
  if (rows.length === 0) return new ApiError('model_not_found', `There is no model '${model}'.`);
  const found = rows.find((row) => row.version === version);
  if (found) {
    const why = found.reason ? `: ${found.reason}` : '.';
    return new ApiError('conflict', `Version ${version} of '${model}' is ${found.state}${why}`);
  }
  const known = rows.map((row) => row.version).sort(compareVersions);
  const shown = known.slice(-10).join(', ');
  return new ApiError('version_not_found', `Model '${model}' has no version '${version}'; it has ${shown}.`, {
    suggestions: known.slice(-10),
  });
}

/** Whether there was such an alias. */
export async function removeAlias(db: Db, tenant: string, model: string, alias: string): Promise<boolean> {
  const { rowCount } = await db.query('DELETE FROM model_aliases WHERE tenant = $1 AND model = $2 AND alias = $3', [
    tenant,
    model,
    alias,
  ]);
  return rowCount === 1;
}

/** Takes a version out of service for good. Throws ApiError: `conflict` while an alias points at it, `version_not_found`. */
export async function retireVersion(pool: Pool, { tenant, model, version }: VersionName): Promise<void> {
  const name = [tenant, model, version];
  await inTransaction(pool, async (db) => {
    const { rowCount } = await db.query(
      'SELECT FROM model_versions WHERE tenant = $1 AND model = $2 AND version = $3 FOR UPDATE',
      name,
    );
    if (rowCount === 0) throw await whyNotServed(db, { tenant, model, version });
    const { rows } = await db.query<{ alias: string }>(
      'SELECT alias FROM model_aliases WHERE tenant = $1 AND model = $2 AND version = $3 ORDER BY alias',
      name,
    );
    if (rows.length > 0) {
      const aliases = rows.map(({ alias }) => alias).join(', ');
      throw new ApiError('conflict', `Version ${version} of '${model}' is still what ${aliases} points at.`);
    }
    await db.query(
      `UPDATE model_versions SET state = 'retired' WHERE tenant = $1 AND model = $2 AND version = $3`,
      name,
    );
  });
}

/** Purges a model's results: its new epoch, under which none is known. Throws ApiError `model_not_found`. */
export async function bumpCacheEpoch(db: Db, tenant: string, model: string): Promise<number> {
  const { rows } = await db.query<{ epoch: number }>(
    'UPDATE models SET cache_epoch = cache_epoch + 1 WHERE tenant = $1 AND model = $2 RETURNING cache_epoch AS epoch',
    [tenant, model],
  );
  if (!rows[0]) throw new ApiError('model_not_found', `There is no model '${model}'.`);
  return rows[0].epoch;
}

/** What a tenant can use: its own models, and those of the default tenant whose name it has not taken. */
export async function loadRegistry(db: Db, tenant: string): Promise<RegistrySnapshot> {
  const [own, shared] = await Promise.all([
    loadOwnModels(db, tenant),
    tenant === DEFAULT_TENANT ? [] : loadOwnModels(db, DEFAULT_TENANT),
  ]);
  return mergeRegistries(own, shared);
}

/** A tenant's own models, as of one moment, in order of name. */
export async function loadOwnModels(db: Db, tenant: string): Promise<RegisteredModel[]> {
  const { rows } = await db.query<Omit<RegisteredModel, 'defaultVersion'>>(
    `SELECT m.model, m.cache_epoch AS "cacheEpoch",
            coalesce((SELECT json_object_agg(alias, version ORDER BY alias) FROM model_aliases a
                       WHERE a.tenant = m.tenant AND a.model = m.model), '{}') AS aliases,
            coalesce((SELECT json_agg(json_build_object(
                'tenant', tenant, 'model', model, 'version', version, 'digest', digest, 'state', state,
                'reason', reason, 'signature', signature, 'config', config, 'handlerDigest', handler_digest,
                'inputSchema', input_schema, 'outputSchema', output_schema, 'entitySets', entity_sets, 'foundDigest', found_digest,
                'createdAt', created_at)) FROM model_versions v
                       WHERE v.tenant = m.tenant AND v.model = m.model), '[]') AS versions
       FROM models m WHERE m.tenant = $1 ORDER BY m.model`,
    [tenant],
  );
  return rows.map((row) => {
    const versions = [...row.versions].sort((a, b) => compareVersions(a.version, b.version));
    return { ...row, versions, defaultVersion: defaultVersion(versions, row.aliases) };
  });
}

/** Every name of a model, of any tenant: each has a queue. */
export async function queueNames(db: Db): Promise<string[]> {
  const { rows } = await db.query<{ model: string }>('SELECT DISTINCT model FROM models');
  return rows.map(({ model }) => model);
}

export function mergeRegistries(own: readonly RegisteredModel[], shared: readonly RegisteredModel[]): RegistrySnapshot {
  const taken = new Set(own.map(({ model }) => model));
  const models = [...own, ...shared.filter(({ model }) => !taken.has(model))];
  return { models: models.sort((a, b) => (a.model < b.model ? -1 : 1)) };
}

const collator = new Intl.Collator('en', { numeric: true });

/** By their numbers: 10 after 9, and 1.10 after 1.9. */
export function compareVersions(a: string, b: string): number {
  return collator.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);
}

/** `versions` in ascending order. */
function defaultVersion(versions: readonly ModelVersion[], aliases: Readonly<Record<string, string>>): string | null {
  return aliases[PRODUCTION] ?? versions.findLast(({ state }) => state === 'ready')?.version ?? null;
}

const jsonOrNull = (value: unknown): string | null =>
  value === null || value === undefined ? null : JSON.stringify(value);

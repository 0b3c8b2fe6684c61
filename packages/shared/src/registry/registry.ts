/** The registry in Postgres: models, versions and queue names. Writers announce their changes with registry-cache.ts. */

import { ApiError } from '../errors.ts';
import type { Db } from '../postgres/db.ts';
import type { ModelVersion, RegisteredModel, RegistrySnapshot, VersionState } from './registry-types.ts';

export interface VersionName {
  tenant: string;
  model: string;
  version: string;
}

export interface Registered {
  /** `known`: the version was registered with the same digest. `updated`: also, but with other settings. */
  outcome: 'registered' | 'known' | 'updated';
  /** The state of the row. A known version keeps its state. */
  state: VersionState;
}

const PRODUCTION = 'production';
const DEFAULT_TENANT = 'default';

/**
 * Registers a version and its model. Many workers may register the same version at once. Versions are immutable: throws ApiError
 * `digest_mismatch` when the version has another digest. A failed version has served no request and is replaced. Settings that
 * do not affect outputs follow the last registration.
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
    `Version ${version.version} of '${model}' is registered with the digest ${existing.digest.slice(0, 12)}, but the new ` +
      `files have the digest ${digest.slice(0, 12)}. Versions are immutable: give the new files a new version number.`,
  );
}

export interface StateChange {
  state: VersionState;
  reason?: string | null;
}

/**
 * Sets the state of a version and returns whether the row changed. A retired version stays retired. A ready version stays ready
 * when another worker starts to load the version.
 */
export async function setVersionState(db: Db, name: VersionName, { state, reason }: StateChange): Promise<boolean> {
  const { tenant, model, version } = name;
  const { rowCount } = await db.query(
    `UPDATE model_versions SET state = $4, reason = $5
      WHERE tenant = $1 AND model = $2 AND version = $3 AND state <> 'retired'
        AND (state, reason) IS DISTINCT FROM ($4, $5) AND NOT (state = 'ready' AND $4 = 'loading')`,
    [tenant, model, version, state, reason ?? null],
  );
  return rowCount === 1;
}

/** Stores the digest of different files under a version's name, or null for the registered files. Returns whether the row changed. */
export async function setFoundDigest(db: Db, name: VersionName, digest: string | null): Promise<boolean> {
  const { rowCount } = await db.query(
    `UPDATE model_versions SET found_digest = $4
      WHERE tenant = $1 AND model = $2 AND version = $3 AND found_digest IS DISTINCT FROM $4`,
    [name.tenant, name.model, name.version, digest],
  );
  return rowCount === 1;
}

/** Returns the names of the models of all tenants that have a ready version. */
export async function readyModels(db: Db): Promise<string[]> {
  const { rows } = await db.query<{ model: string }>(`SELECT DISTINCT model FROM model_versions WHERE state = 'ready'`);
  return rows.map(({ model }) => model);
}

// The reason in Postgres marks the versions that setServed unloaded, so the text must not change.
const UNLOADED = 'It was unloaded on request.';

export interface ServedParams {
  tenant: string;
  model: string;
  served: boolean;
}

/**
 * Unloads all versions of a model, or loads the versions that were unloaded by this function. Returns the number of changed
 * versions. Waiting predictions still complete while a version drains.
 */
export async function setServed(db: Db, { tenant, model, served }: ServedParams): Promise<number> {
  const { rowCount } = await db.query(
    served
      ? `UPDATE model_versions SET state = 'ready', reason = NULL
          WHERE tenant = $1 AND model = $2 AND state IN ('draining', 'retired') AND reason = $3`
      : `UPDATE model_versions SET state = 'draining', reason = $3 WHERE tenant = $1 AND model = $2 AND state = 'ready'`,
    [tenant, model, UNLOADED],
  );
  return rowCount ?? 0;
}

/** Purges the cached results of a model: no result exists under the new epoch. Throws ApiError `model_not_found`. */
export async function bumpCacheEpoch(db: Db, tenant: string, model: string): Promise<number> {
  const { rows } = await db.query<{ epoch: number }>(
    'UPDATE models SET cache_epoch = cache_epoch + 1 WHERE tenant = $1 AND model = $2 RETURNING cache_epoch AS epoch',
    [tenant, model],
  );
  if (!rows[0]) throw new ApiError('model_not_found', `There is no model '${model}'.`);
  return rows[0].epoch;
}

/** Loads the models that a tenant can use: its own models, and models of the default tenant with other names. */
export async function loadRegistry(db: Db, tenant: string): Promise<RegistrySnapshot> {
  const [own, shared] = await Promise.all([
    loadOwnModels(db, tenant),
    tenant === DEFAULT_TENANT ? [] : loadOwnModels(db, DEFAULT_TENANT),
  ]);
  return mergeRegistries(own, shared);
}

/** Loads a tenant's own models from one snapshot, sorted by name. */
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

/** The names of all models of all tenants. Each name has a queue. */
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

/** Compares versions by their numbers: 10 after 9, and 1.10 after 1.9. */
export function compareVersions(a: string, b: string): number {
  return collator.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);
}

/** `versions` must be in ascending order. */
function defaultVersion(versions: readonly ModelVersion[], aliases: Readonly<Record<string, string>>): string | null {
  return aliases[PRODUCTION] ?? versions.findLast(({ state }) => state === 'ready')?.version ?? null;
}

const jsonOrNull = (value: unknown): string | null =>
  value === null || value === undefined ? null : JSON.stringify(value);

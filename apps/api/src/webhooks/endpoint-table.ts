/** Statements on the table `webhook_endpoints`. Each statement is limited to one tenant. */
import { type Db, inTransaction, type Pool } from '@millrace/shared/postgres/db';
import { firstRow } from '@millrace/shared/postgres/first-row';
import { cancelFirst, cancelRest } from '@millrace/shared/webhooks/cancel-pending';
import { type Rotation, rotated, type StoredSecret } from '@millrace/shared/webhooks/secret';

export interface Endpoint {
  id: string;
  url: string;
  description: string;
  events: string[];
  models: string[];
  state: 'enabled' | 'disabled';
  /** The reason of a disabled endpoint as a sentence, and as a code. Processes of 0.1.0 write no code. */
  reason: string | null;
  reasonCode: string | null;
  /** Times are Unix milliseconds. */
  failingSince: number | null;
  createdAt: number;
  updatedAt: number;
}

const COLUMNS = `id, url, description, events, models, state, reason, reason_code AS "reasonCode", failing_since AS "failingSince",
  created_at AS "createdAt", updated_at AS "updatedAt"`;

export interface EndpointFields {
  url: string;
  description: string;
  events: readonly string[];
  models: readonly string[];
}

export interface InsertEndpointParams {
  id: string;
  tenant: string;
  fields: EndpointFields;
  secret: string;
  nowMs: number;
}

/** An endpoint with its newest secret. */
type NewEndpoint = Endpoint & { secret: string };

/** Returns the existing endpoint, with its secret, if an earlier execution of the same request has inserted the endpoint. */
export async function insertEndpoint(db: Db, params: InsertEndpointParams): Promise<NewEndpoint> {
  const { id, tenant, fields, secret, nowMs } = params;
  const { rows } = await db.query<NewEndpoint>(
    `INSERT INTO webhook_endpoints AS e (id, tenant, url, description, events, models, secrets, created_at, updated_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
     ON CONFLICT (id) DO UPDATE SET updated_at = e.updated_at WHERE e.tenant = excluded.tenant
     RETURNING ${COLUMNS}, secrets -> 0 ->> 'secret' AS secret`,
    [
      id,
      tenant,
      fields.url,
      fields.description,
      fields.events,
      fields.models,
      JSON.stringify([{ secret, until: null }]),
      nowMs,
    ],
  );
  return firstRow(rows);
}

export async function findEndpoint(db: Db, tenant: string, id: string): Promise<Endpoint | undefined> {
  const { rows } = await db.query<Endpoint>(`SELECT ${COLUMNS} FROM webhook_endpoints WHERE tenant = $1 AND id = $2`, [
    tenant,
    id,
  ]);
  return rows[0];
}

export interface EndpointPage {
  limit: number;
  order: 'asc' | 'desc';
  /** Creation time and id of the last endpoint of the previous page; null for the first page. */
  after: { at: number; id: string } | null;
}

/** Lists endpoints in the order of their creation. */
export async function listEndpoints(
  db: Db,
  tenant: string,
  { limit, order, after }: EndpointPage,
): Promise<Endpoint[]> {
  const sign = order === 'asc' ? '>' : '<';
  const { rows } = await db.query<Endpoint>(
    `SELECT ${COLUMNS} FROM webhook_endpoints
      WHERE tenant = $1 AND ($2::bigint IS NULL OR (created_at, id) ${sign} ($2, $3::uuid))
      ORDER BY created_at ${order}, id ${order} LIMIT $4`,
    [tenant, after?.at ?? null, after?.id ?? null, limit],
  );
  return rows;
}

export type EndpointUpdate = Partial<EndpointFields> & { state?: 'enabled' | 'disabled' };

/** Receives the endpoint before a change. Throws where the change must not be made. */
export type EndpointGuard = ((endpoint: Endpoint) => void) | undefined;

/** Locks the endpoint until the end of the transaction, and checks the endpoint. */
async function check(
  db: Db,
  { tenant, id, guard }: { tenant: string; id: string; guard?: EndpointGuard },
): Promise<void> {
  if (!guard) return;
  const { rows } = await db.query<Endpoint>(
    `SELECT ${COLUMNS} FROM webhook_endpoints WHERE tenant = $1 AND id = $2 FOR UPDATE`,
    [tenant, id],
  );
  if (rows[0]) guard(rows[0]);
}

export interface UpdateEndpointParams {
  tenant: string;
  id: string;
  guard?: EndpointGuard;
  changes: EndpointUpdate;
  nowMs: number;
}

/** Enabling clears `reason` and `failing_since`. Disabling cancels the pending deliveries of the endpoint. */
export async function updateEndpoint(pool: Pool, params: UpdateEndpointParams): Promise<Endpoint | undefined> {
  const { tenant, id, changes, nowMs } = params;
  let more = false;
  const changed = await inTransaction(pool, async (db) => {
    await check(db, params);
    const { rows } = await db.query<Endpoint>(
      `UPDATE webhook_endpoints SET
         url = coalesce($3, url), description = coalesce($4, description), events = coalesce($5, events),
         models = coalesce($6, models), state = coalesce($7, state), updated_at = $8,
         reason = CASE WHEN $7 IS NULL THEN reason WHEN $7 = 'disabled' THEN coalesce(reason, 'The owner has disabled the endpoint.') END,
         reason_code = CASE WHEN $7 IS NULL THEN reason_code
           WHEN $7 = 'disabled' AND reason IS NULL THEN 'disabled_by_owner' WHEN $7 = 'disabled' THEN reason_code END,
         failing_since = CASE WHEN $7 = 'enabled' THEN NULL ELSE failing_since END
       WHERE tenant = $1 AND id = $2 RETURNING ${COLUMNS}`,
      [
        tenant,
        id,
        changes.url ?? null,
        changes.description ?? null,
        changes.events ?? null,
        changes.models ?? null,
        changes.state ?? null,
        nowMs,
      ],
    );
    if (rows[0] && changes.state === 'disabled') more = await cancelFirst(db, id, nowMs);
    return rows[0];
  });
  if (more) void cancelRest(pool, id, nowMs);
  return changed;
}

export interface DeleteEndpointParams {
  tenant: string;
  id: string;
  guard?: EndpointGuard;
  nowMs: number;
}

/** Returns whether the endpoint existed. Deliveries of the endpoint stay visible. Pending deliveries are canceled. */
export async function deleteEndpoint(pool: Pool, params: DeleteEndpointParams): Promise<boolean> {
  const { tenant, id, nowMs } = params;
  let more = false;
  const removed = await inTransaction(pool, async (db) => {
    await check(db, params);
    const { rowCount } = await db.query('DELETE FROM webhook_endpoints WHERE tenant = $1 AND id = $2', [tenant, id]);
    if (rowCount === 1) more = await cancelFirst(db, id, nowMs);
    return rowCount === 1;
  });
  if (more) void cancelRest(pool, id, nowMs);
  return removed;
}

export interface RotateSecretParams extends Rotation {
  tenant: string;
  /** The endpoint; null for the secret of the tenant itself. */
  id: string | null;
}

/** Adds a new secret before the present secrets of an endpoint or of the tenant. Returns whether the endpoint existed. */
export function rotateSecret(pool: Pool, { tenant, id, ...rotation }: RotateSecretParams): Promise<boolean> {
  return inTransaction(pool, async (db) => {
    if (id === null) await db.query('INSERT INTO tenants (tenant) VALUES ($1) ON CONFLICT DO NOTHING', [tenant]);
    const { rows } =
      id === null
        ? await db.query<{ secrets: StoredSecret[] }>(
            'SELECT webhook_secrets AS secrets FROM tenants WHERE tenant = $1 FOR UPDATE',
            [tenant],
          )
        : await db.query<{ secrets: StoredSecret[] }>(
            'SELECT secrets FROM webhook_endpoints WHERE tenant = $1 AND id = $2 FOR UPDATE',
            [tenant, id],
          );
    const [row] = rows;
    if (!row) return false;
    const secrets = JSON.stringify(rotated(row.secrets, rotation));
    await (id === null
      ? db.query('UPDATE tenants SET webhook_secrets = $2 WHERE tenant = $1', [tenant, secrets])
      : db.query('UPDATE webhook_endpoints SET secrets = $2, updated_at = $3 WHERE id = $1', [
          id,
          secrets,
          rotation.nowMs,
        ]));
    return true;
  });
}

/** The secrets that sign the deliveries to URLs that predictions name, newest first; empty before the first rotation. */
export async function tenantSecrets(db: Db, tenant: string): Promise<StoredSecret[]> {
  const { rows } = await db.query<{ secrets: StoredSecret[] }>(
    'SELECT webhook_secrets AS secrets FROM tenants WHERE tenant = $1',
    [tenant],
  );
  return rows[0]?.secrets ?? [];
}

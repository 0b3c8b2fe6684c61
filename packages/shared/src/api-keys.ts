/** API keys: who a caller is. A key is shown once, when it is made; only its SHA-256 is kept. */
import { createHash, randomBytes } from 'node:crypto';
import type { Db } from './db.ts';

const KEY = /^mrk_[A-Za-z0-9_-]{43}$/;
const SHOWN = 12;

export interface ApiKey {
  id: string;
  tenant: string;
  /** The first characters of the key. */
  prefix: string;
  name: string;
  /** Unix ms. */
  createdAt: number;
  expiresAt: number | null;
  revokedAt: number | null;
}

const COLUMNS = `id, tenant, prefix, name, created_at AS "createdAt", expires_at AS "expiresAt", revoked_at AS "revokedAt"`;

const hashOf = (key: string): Buffer => createHash('sha256').update(key).digest();

/** Makes a key of 256 random bits for a tenant, which is made as well if it is new. */
export async function createApiKey(
  db: Db,
  { tenant, name, expiresAt }: { tenant: string; name: string; expiresAt: number | null },
): Promise<{ key: string; row: ApiKey }> {
  const key = `mrk_${randomBytes(32).toString('base64url')}`;
  await db.query('INSERT INTO tenants (tenant) VALUES ($1) ON CONFLICT DO NOTHING', [tenant]);
  const { rows } = await db.query<ApiKey>(
    `INSERT INTO api_keys (tenant, hash, prefix, name, expires_at) VALUES ($1, $2, $3, $4, $5) RETURNING ${COLUMNS}`,
    [tenant, hashOf(key), key.slice(0, SHOWN), name, expiresAt],
  );
  return { key, row: rows[0] as ApiKey };
}

/** The tenant that a key stands for; undefined when it is unknown, revoked or expired. */
export async function tenantOfKey(db: Db, key: string, nowMs: number): Promise<string | undefined> {
  if (!KEY.test(key)) return undefined;
  const { rows } = await db.query<{ tenant: string }>(
    `SELECT tenant FROM api_keys
      WHERE hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)`,
    [hashOf(key), nowMs],
  );
  return rows[0]?.tenant;
}

/** Whether there was such a key to revoke. `id` is its id or its first characters. */
export async function revokeApiKey(db: Db, id: string, nowMs: number): Promise<number> {
  const { rowCount } = await db.query(
    `UPDATE api_keys SET revoked_at = $2 WHERE revoked_at IS NULL AND (id::text = $1 OR prefix = $1)`,
    [id, nowMs],
  );
  return rowCount ?? 0;
}

/** All keys, the newest first. */
export async function listApiKeys(db: Db): Promise<ApiKey[]> {
  const { rows } = await db.query<ApiKey>(`SELECT ${COLUMNS} FROM api_keys ORDER BY created_at DESC, id`);
  return rows;
}

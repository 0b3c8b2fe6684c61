/**
 * API keys, which identify the tenant of a caller. A key is shown once, when the key is created. Postgres stores only its SHA-256.
 *
 * A key is `mrk_`, 43 characters of 256 random bits, and 6 characters of a CRC-32 over all preceding characters. The checksum
 * detects mistyped and invented keys without a query. The checksum is not secret: every reader of this page can compute a valid
 * checksum. Keys of 0.1.0 end after the 43 characters and continue to work.
 */
import { createHash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { Db } from '../postgres/db.ts';
import { firstRow } from '../postgres/first-row.ts';

const SHOWN = 12;
const UNCHECKED = /^mrk_[A-Za-z0-9_-]{43}$/;
const CHECKED = /^mrk_[A-Za-z0-9_-]{49}$/;
const SESSION = /^mrs_[A-Za-z0-9_-]{49}$/;
const CHECKSUM_CHARACTERS = 6;

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
/** Unix ms on the clock of Postgres, which all processes share. */
export const NOW_MS = '(extract(epoch FROM now()) * 1000)::bigint';

/** The hash that identifies a key in Postgres. */
export const hashOfKey = (key: string): Buffer => createHash('sha256').update(key).digest();

/** `unchecked` is the form of 0.1.0. */
export type KeyForm = 'checked' | 'unchecked';

/** Returns the form of a key, or undefined for a text that cannot be a key. Does no I/O. */
export function formOfKey(text: string): KeyForm | undefined {
  if (UNCHECKED.test(text)) return 'unchecked';
  return CHECKED.test(text) && hasChecksum(text) ? 'checked' : undefined;
}

/** Returns the form of a token of the console (console-sessions.ts), or undefined for another text. */
export const formOfSession = (text: string): KeyForm | undefined =>
  SESSION.test(text) && hasChecksum(text) ? 'checked' : undefined;

const hasChecksum = (text: string): boolean =>
  checksumOf(text.slice(0, -CHECKSUM_CHARACTERS)) === text.slice(-CHECKSUM_CHARACTERS);

export const withChecksum = (text: string): string => text + checksumOf(text);

function checksumOf(text: string): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32(text));
  return bytes.toString('base64url');
}

/** Creates a key with its checksum. The key has no tenant until `createApiKey` stores the key. */
export function newKey(): string {
  return withChecksum(`mrk_${randomBytes(32).toString('base64url')}`);
}

/** Creates a key for a tenant, and the tenant when new. `expiresAt` is in Unix ms; null for a key without an end. */
export async function createApiKey(
  db: Db,
  { tenant, name, expiresAt }: { tenant: string; name: string; expiresAt: number | null },
): Promise<{ key: string; row: ApiKey }> {
  const key = newKey();
  await db.query('INSERT INTO tenants (tenant) VALUES ($1) ON CONFLICT DO NOTHING', [tenant]);
  const { rows } = await db.query<ApiKey>(
    `INSERT INTO api_keys (tenant, hash, prefix, name, expires_at) VALUES ($1, $2, $3, $4, $5) RETURNING ${COLUMNS}`,
    [tenant, hashOfKey(key), key.slice(0, SHOWN), name, expiresAt],
  );
  return { key, row: firstRow(rows) };
}

export interface KeyOwner {
  tenant: string;
  /** Unix ms; null for a key without an end. */
  expiresAt: number | null;
}

/** Returns the owner for each hash, in their order; undefined for a key that is unknown, revoked or expired. */
export async function ownersOfKeys(db: Db, hashes: readonly Buffer[]): Promise<(KeyOwner | undefined)[]> {
  const { rows } = await db.query<KeyOwner & { hash: string }>(
    `SELECT encode(hash, 'hex') AS hash, tenant, expires_at AS "expiresAt" FROM api_keys
      WHERE hash = ANY($1::bytea[]) AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ${NOW_MS})`,
    [hashes],
  );
  const owners = new Map(rows.map(({ hash, tenant, expiresAt }) => [hash, { tenant, expiresAt }]));
  return hashes.map((hash) => owners.get(hash.toString('hex')));
}

/** Revokes keys and returns their number. `id` is the id of a key or its first characters. */
export async function revokeApiKey(db: Db, id: string, nowMs: number): Promise<number> {
  const { rowCount } = await db.query(
    `UPDATE api_keys SET revoked_at = $2 WHERE revoked_at IS NULL AND (id::text = $1 OR prefix = $1)`,
    [id, nowMs],
  );
  return rowCount ?? 0;
}

/** Lists all keys, newest first. */
export async function listApiKeys(db: Db): Promise<ApiKey[]> {
  const { rows } = await db.query<ApiKey>(`SELECT ${COLUMNS} FROM api_keys ORDER BY created_at DESC, id`);
  return rows;
}

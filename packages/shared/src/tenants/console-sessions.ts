/**
 * Sessions of the console: a signed-in browser holds a token instead of the API key. A token has the form of a key with `mrs_`
 * at the beginning, so that mistyped and invented tokens need no query. Postgres stores only its SHA-256. A session ends after its lifetime,
 * at the sign-out, and with its key.
 */
import { randomBytes } from 'node:crypto';
import type { Db } from '../postgres/db.ts';
import { hashOfKey, NOW_MS, withChecksum } from './api-keys.ts';

const SESSION_MS = 12 * 3_600_000;
/** The sessions of one key. A further sign-in ends the oldest session. */
const SESSIONS_OF_KEY = 100;
/** Expired sessions that one sign-in deletes. */
const DELETED_AT_ONCE = 1_000;

export interface ConsoleSession {
  tenant: string;
  /** The first characters of the key. */
  prefix: string;
  /** Unix ms. */
  expiresAt: number;
}

/** Exchanges a key for a session; undefined for a key that is unknown, revoked or expired. */
export async function createSession(db: Db, key: string): Promise<(ConsoleSession & { token: string }) | undefined> {
  const token = withChecksum(`mrs_${randomBytes(32).toString('base64url')}`);
  const { rows } = await db.query<ConsoleSession & { keyId: string }>(
    `WITH key AS (
       SELECT id, tenant, prefix, least(${NOW_MS} + $3, expires_at) AS ends FROM api_keys
        WHERE hash = $2 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ${NOW_MS})
     ), added AS (
       INSERT INTO console_sessions (hash, key_id, expires_at) SELECT $1, id, ends FROM key
     )
     SELECT id AS "keyId", tenant, prefix, ends AS "expiresAt" FROM key`,
    [hashOfKey(token), hashOfKey(key), SESSION_MS],
  );
  const [row] = rows;
  if (row === undefined) return undefined;
  await endOldSessions(db, row.keyId);
  return { token, tenant: row.tenant, prefix: row.prefix, expiresAt: row.expiresAt };
}

async function endOldSessions(db: Db, keyId: string): Promise<void> {
  await db.query(
    `DELETE FROM console_sessions WHERE hash IN (
       (SELECT hash FROM console_sessions WHERE key_id = $1 ORDER BY created_at DESC, hash OFFSET $2)
       UNION ALL
       (SELECT hash FROM console_sessions WHERE expires_at < ${NOW_MS} LIMIT $3))`,
    [keyId, SESSIONS_OF_KEY, DELETED_AT_ONCE],
  );
}

/** Returns the session of a token; undefined for a token without a session. */
export async function findSession(db: Db, token: string): Promise<ConsoleSession | undefined> {
  const [found] = await ownersOfSessions(db, [hashOfKey(token)]);
  return found;
}

/** Returns the session for each hash of a token, in their order; undefined for a token without a session. */
export async function ownersOfSessions(db: Db, hashes: readonly Buffer[]): Promise<(ConsoleSession | undefined)[]> {
  const { rows } = await db.query<ConsoleSession & { hash: string }>(
    `SELECT encode(s.hash, 'hex') AS hash, k.tenant, k.prefix, s.expires_at AS "expiresAt"
       FROM console_sessions s JOIN api_keys k ON k.id = s.key_id
      WHERE s.hash = ANY($1::bytea[]) AND s.expires_at > ${NOW_MS}
        AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > ${NOW_MS})`,
    [hashes],
  );
  const sessions = new Map(rows.map(({ hash, ...session }) => [hash, session]));
  return hashes.map((hash) => sessions.get(hash.toString('hex')));
}

export async function endSession(db: Db, token: string): Promise<void> {
  await db.query('DELETE FROM console_sessions WHERE hash = $1', [hashOfKey(token)]);
}

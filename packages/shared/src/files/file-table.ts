/**
 * Statements on the tables `files` and `file_objects`. An object of the file store belongs to a file, or has a row in `file_objects`
 * with the time after which a worker deletes the object. No process can therefore leave an object behind by its end.
 */
import { createHash, randomUUID } from 'node:crypto';
import { type Db, inTransaction, type Pool } from '../postgres/db.ts';
import { firstRow } from '../postgres/first-row.ts';

export interface StoredFile {
  id: string;
  sha256: Buffer;
  bytes: number;
  mediaType: string;
  filename: string | null;
  /** The name of the object in the file store. */
  object: string;
  /** Times are Unix milliseconds. */
  createdAt: number;
  expiresAt: number;
}

const COLUMNS = `id, sha256, bytes, media_type AS "mediaType", filename, object, created_at AS "createdAt", expires_at AS "expiresAt"`;

/** Readers of a replaced or deleted file finish within this time. */
const READERS_MS = 600_000;
/** The most files of a tenant: the sum of their bytes is read for each upload. */
const FILES_MAX = 100_000;
const DIGITS = /^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/;

/** The id of a content in a tenant: the same for each upload, and different in each tenant. */
export const fileId = (tenant: string, sha256: Buffer): string =>
  createHash('sha256').update(`file ${tenant} `).update(sha256).digest('hex').replace(DIGITS, '$1-$2-$3-$4-$5');

/** Names a new object, and notes that the object has no file yet. After `untilMs` the object is deleted. */
export async function beginObject(db: Db, untilMs: number): Promise<string> {
  const name = randomUUID();
  const object = `${name.slice(0, 2)}/${name}`;
  await db.query('INSERT INTO file_objects (object, unfinished, delete_after) VALUES ($1, true, $2)', [
    object,
    untilMs,
  ]);
  return object;
}

/** Lets a worker delete an object whose upload has failed. */
export async function dropObject(db: Db, object: string): Promise<void> {
  await db.query('UPDATE file_objects SET delete_after = 0 WHERE object = $1', [object]);
}

export interface NewFile {
  tenant: string;
  object: string;
  sha256: Buffer;
  bytes: number;
  mediaType: string;
  filename: string | null;
  nowMs: number;
  expiresAt: number;
  /** The most bytes of all files of the tenant. */
  quota: number;
}

/**
 * Makes a file of an object. A file with the same content gets the new object, name and type, and never a shorter life. Resolves to
 * `full` when the tenant has no room, and to `gone` when the object was deleted because the upload took too long.
 */
export function insertFile(pool: Pool, file: NewFile): Promise<StoredFile | 'full' | 'gone'> {
  const { tenant, object, sha256, bytes, nowMs } = file;
  const id = fileId(tenant, sha256);
  return inTransaction(pool, async (db) => {
    // Uploads of a tenant end one after the other, so that two cannot both take the last room.
    await db.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 31))', [tenant]);
    const used = await usage(db, tenant, id);
    if (used.bytes + bytes > file.quota || used.files >= FILES_MAX) return 'full';
    const { rowCount } = await db.query('DELETE FROM file_objects WHERE object = $1', [object]);
    if (rowCount !== 1) return 'gone';
    const { rows: before } = await db.query<{ object: string }>(
      'SELECT object FROM files WHERE id = $1 AND tenant = $2 FOR UPDATE',
      [id, tenant],
    );
    const { rows } = await db.query<StoredFile>(
      `INSERT INTO files AS f (id, tenant, sha256, bytes, media_type, filename, object, created_at, expires_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
       ON CONFLICT (id) DO UPDATE SET media_type = excluded.media_type, filename = excluded.filename, object = excluded.object,
         expires_at = greatest(f.expires_at, excluded.expires_at)
       RETURNING ${COLUMNS}`,
      [id, tenant, sha256, bytes, file.mediaType, file.filename, object, nowMs, file.expiresAt],
    );
    await dropLater(db, before, nowMs);
    return firstRow(rows);
  });
}

async function dropLater(db: Db, files: readonly { object: string }[], nowMs: number): Promise<void> {
  if (files.length === 0) return;
  await db.query(
    'INSERT INTO file_objects (object, unfinished, delete_after) SELECT unnest($1::text[]), false, $2::bigint ON CONFLICT DO NOTHING',
    [files.map(({ object }) => object), nowMs + READERS_MS],
  );
}

/** The files of a tenant without the file `except`. */
async function usage(db: Db, tenant: string, except: string | null): Promise<{ bytes: number; files: number }> {
  const { rows } = await db.query<{ bytes: number; files: number }>(
    `SELECT coalesce(sum(bytes), 0)::bigint AS bytes, count(*)::int AS files FROM files
      WHERE tenant = $1 AND ($2::uuid IS NULL OR id <> $2)`,
    [tenant, except],
  );
  return firstRow(rows);
}

/** The bytes that the files of a tenant have. */
export const usedBytes = async (db: Db, tenant: string): Promise<number> => (await usage(db, tenant, null)).bytes;

export async function findFile(
  db: Db,
  place: { tenant: string; id: string; nowMs: number },
): Promise<StoredFile | undefined> {
  const { rows } = await db.query<StoredFile>(
    `SELECT ${COLUMNS} FROM files WHERE tenant = $1 AND id = $2 AND expires_at > $3`,
    [place.tenant, place.id, place.nowMs],
  );
  return rows[0];
}

export interface FilePage {
  limit: number;
  order: 'asc' | 'desc';
  /** Creation time and id of the last file of the previous page; null for the first page. */
  after: { at: number; id: string } | null;
  nowMs: number;
}

/** Lists files in the order of their first upload. */
export async function listFiles(
  db: Db,
  tenant: string,
  { limit, order, after, nowMs }: FilePage,
): Promise<StoredFile[]> {
  const sign = order === 'asc' ? '>' : '<';
  const { rows } = await db.query<StoredFile>(
    `SELECT ${COLUMNS} FROM files
      WHERE tenant = $1 AND expires_at > $5 AND ($2::bigint IS NULL OR (created_at, id) ${sign} ($2, $3::uuid))
      ORDER BY created_at ${order}, id ${order} LIMIT $4`,
    [tenant, after?.at ?? null, after?.id ?? null, limit, nowMs],
  );
  return rows;
}

export interface DeleteFileParams {
  tenant: string;
  id: string;
  nowMs: number;
  /** Receives the file before the deletion. Throws where the file must stay. */
  guard?: ((file: StoredFile) => void) | undefined;
}

/** Returns whether the file existed. */
export function deleteFile(pool: Pool, { tenant, id, nowMs, guard }: DeleteFileParams): Promise<boolean> {
  return inTransaction(pool, async (db) => {
    const { rows } = await db.query<StoredFile>(
      `SELECT ${COLUMNS} FROM files WHERE tenant = $1 AND id = $2 AND expires_at > $3 FOR UPDATE`,
      [tenant, id, nowMs],
    );
    if (!rows[0]) return false;
    guard?.(rows[0]);
    await db.query('DELETE FROM files WHERE id = $1', [id]);
    await dropLater(db, rows, nowMs);
    return true;
  });
}

/** Deletes at most `limit` files whose time is over. Returns their number. */
export function deleteExpired(pool: Pool, nowMs: number, limit: number): Promise<number> {
  return inTransaction(pool, async (db) => {
    const { rows } = await db.query<{ object: string }>(
      `DELETE FROM files WHERE id IN
         (SELECT id FROM files WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)
       RETURNING object`,
      [nowMs, limit],
    );
    await dropLater(db, rows, nowMs);
    return rows.length;
  });
}

export interface DeadObject {
  object: string;
  unfinished: boolean;
}

/** Claims at most `limit` objects for deletion. A claim that is not confirmed in READERS_MS is made again. */
export async function claimObjects(db: Db, nowMs: number, limit: number): Promise<DeadObject[]> {
  const { rows } = await db.query<DeadObject>(
    `UPDATE file_objects SET delete_after = $1::bigint + $3::bigint WHERE object IN
       (SELECT object FROM file_objects WHERE delete_after <= $1 ORDER BY delete_after LIMIT $2 FOR UPDATE SKIP LOCKED)
     RETURNING object, unfinished`,
    [nowMs, limit, READERS_MS],
  );
  return rows;
}

/** Forgets objects that the file store no longer has. */
export async function forgetObjects(db: Db, objects: readonly string[]): Promise<void> {
  await db.query('DELETE FROM file_objects WHERE object = ANY($1)', [objects]);
}

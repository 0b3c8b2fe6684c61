/** Entities in Postgres: sets of rows, identified by their digest, and look-ups in a set. */
import { createHash } from 'node:crypto';
import { type Db, inTransaction, type Pool } from '../postgres/db.ts';
import { fold } from '../text/fold.ts';
import type { Entity } from './entity.ts';

interface StoredEntity {
  key: string;
  name: string;
  aliases: string[];
  attributes: Record<string, string>;
  vector?: Buffer | null;
}

// Large enough that round trips are cheap, and small enough for the memory of Node and Postgres.
const CHUNK = 1_000;

/** SHA-256 (hex) of the rows in their order. */
export function digestOfEntities(rows: readonly Entity[]): string {
  const hash = createHash('sha256');
  for (const { key, name, aliases, attributes, vector } of rows) {
    const sorted = Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1));
    const bytes = vector ? bytesOf(vector) : Buffer.alloc(0);
    // JSON separates the parts, and the length marks the end of the vector.
    hash.update(JSON.stringify([key, name, aliases, sorted, bytes.length])).update(bytes);
  }
  return hash.digest('hex');
}

export interface EntitySetParams {
  tenant: string;
  entity: string;
  rows: readonly Entity[];
  /** The identity of the set, such as the digest of its file. Defaults to the digest of the content. */
  digest?: string;
}

/** Stores the rows as a set of an entity and returns the digest of the set. Repeated calls store the set once. */
export async function upsertEntitySet(pool: Pool, params: EntitySetParams): Promise<string> {
  const { tenant, entity, rows, digest = digestOfEntities(rows) } = params;
  await inTransaction(pool, async (db) => {
    await db.query('INSERT INTO tenants (tenant) VALUES ($1) ON CONFLICT DO NOTHING', [tenant]);
    // A second process with the same set waits here until the first process has committed or rolled back.
    const { rowCount } = await db.query(
      'INSERT INTO entity_sets (tenant, entity, digest) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
      [tenant, entity, digest],
    );
    if (rowCount === 0) return;
    for (let from = 0; from < rows.length; from += CHUNK) {
      await insertRows(db, { digest, rows: rows.slice(from, from + CHUNK), from });
    }
  });
  return digest;
}

interface InsertRowsParams {
  digest: string;
  rows: readonly Entity[];
  /** Position of the first row in its set. */
  from: number;
}

async function insertRows(db: Db, { digest, rows, from }: InsertRowsParams): Promise<void> {
  const json = rows.map(({ key, name, aliases, attributes, vector }, at) => ({
    position: from + at,
    key,
    name,
    aliases,
    terms: [...new Set([name, ...aliases].map(fold))],
    attributes,
    vector: vector ? bytesOf(vector).toString('base64') : null,
  }));
  // The same rows may already be stored for another entity or tenant.
  await db.query(
    `INSERT INTO entities (digest, position, key, name, aliases, terms, attributes, vector)
     SELECT $1, position, key, name, aliases, terms, attributes, decode(vector, 'base64')
       FROM json_to_recordset($2) AS row (position int, key text, name text, aliases text[], terms text[],
                                          attributes jsonb, vector text)
     ON CONFLICT (digest, position) DO NOTHING`,
    [digest, JSON.stringify(json)],
  );
}

/** Loads all rows of a set in their order. Returns no rows for an unknown set. */
export async function loadEntitySet(db: Db, digest: string): Promise<Entity[]> {
  const { rows } = await db.query<StoredEntity>(
    'SELECT key, name, aliases, attributes, vector FROM entities WHERE digest = $1 ORDER BY position',
    [digest],
  );
  return rows.map(entityOf);
}

/** Like loadEntitySet, but without vectors, which canonical forms do not need. */
export async function loadEntityNames(db: Db, digest: string): Promise<Entity[]> {
  const { rows } = await db.query<StoredEntity>(
    'SELECT key, name, aliases, attributes FROM entities WHERE digest = $1 ORDER BY position',
    [digest],
  );
  return rows.map(entityOf);
}

/** Finds a row of a set by key, else by name or alias in any spelling (see `fold`). Without the vector. */
export async function findInSet(db: Db, digest: string, keyOrName: string): Promise<Entity | undefined> {
  const { rows } = await db.query<StoredEntity>(
    `SELECT key, name, aliases, attributes FROM entities
      WHERE digest = $1 AND (key = $2 OR terms @> ARRAY[$3])
      ORDER BY key <> $2, terms[1] <> $3, position LIMIT 1`,
    [digest, storable(keyOrName), fold(storable(keyOrName))],
  );
  return rows[0] && entityOf(rows[0]);
}

/** The number of rows of a set. */
export async function countSet(db: Db, digest: string): Promise<number> {
  const { rows } = await db.query<{ count: number }>('SELECT count(*)::int AS count FROM entities WHERE digest = $1', [
    digest,
  ]);
  return rows[0]?.count ?? 0;
}

/** The place of a row in the results of a search: how the row matches, its folded name, and its position in the set. */
export type SearchPlace = readonly [match: number, name: string, position: number];

export interface SearchParams {
  q: string;
  limit: number;
  /** The place of the last row of the previous page; null for the first page. */
  after: SearchPlace | null;
}

export interface Found {
  entity: Entity;
  place: SearchPlace;
}

/**
 * Searches a set for autocompletion. First come rows whose name starts with `q`, then rows with an alias that starts with `q`, then
 * rows that contain `q`, each sorted by name. An empty `q` returns all rows. Without vectors.
 */
export async function searchSet(db: Db, digest: string, { q, limit, after }: SearchParams): Promise<Found[]> {
  const { rows } = await db.query<StoredEntity & { match: number; term: string; position: number }>(
    `SELECT key, name, aliases, attributes, match, terms[1] AS term, position
       FROM entities CROSS JOIN LATERAL (
         SELECT min(CASE WHEN NOT starts_with(term, $2) THEN 2 WHEN term = terms[1] THEN 0 ELSE 1 END) AS match
           FROM unnest(terms) AS term WHERE strpos(term, $2) > 0
       ) AS matches
      WHERE digest = $1 AND match IS NOT NULL
        AND ($4::bigint IS NULL OR (match, terms[1] COLLATE "C", position) > ($4, $5::text COLLATE "C", $6::bigint))
      ORDER BY match, terms[1] COLLATE "C", position
      LIMIT $3`,
    [digest, fold(storable(q)), limit, after?.[0] ?? null, storable(after?.[1] ?? ''), after?.[2] ?? 0],
  );
  return rows.map(({ match, term, position, ...row }) => ({ entity: entityOf(row), place: [match, term, position] }));
}

function entityOf({ vector, ...row }: StoredEntity): Entity {
  return vector ? { ...row, vector: floatsOf(vector) } : row;
}

/** Reads little-endian float32, the byte order of every supported machine. Copied, because float32 must be aligned. */
function floatsOf(bytes: Buffer): Float32Array {
  return new Float32Array(new Uint8Array(bytes).buffer);
}

function bytesOf(vector: Float32Array): Buffer {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength);
}

/** Removes characters that Postgres cannot store. No stored name contains these characters. */
function storable(text: string): string {
  return text.replaceAll('\u0000', '').toWellFormed();
}

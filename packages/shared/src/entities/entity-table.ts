/** Entities in Postgres: sets of rows that are known by their digest, and look-ups in the newest set of an entity. */
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

// Enough to make a round trip cheap, and small enough for the memory of both ends.
const CHUNK = 1_000;

/** SHA-256 (hex) over the content of the rows, in their order. */
export function digestOfEntities(rows: readonly Entity[]): string {
  const hash = createHash('sha256');
  for (const { key, name, aliases, attributes, vector } of rows) {
    const sorted = Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1));
    const bytes = vector ? bytesOf(vector) : Buffer.alloc(0);
    // JSON says where each part ends, and the vector's length where that does.
    hash.update(JSON.stringify([key, name, aliases, sorted, bytes.length])).update(bytes);
  }
  return hash.digest('hex');
}

/**
 * Stores the rows as a set of an entity, once however often it is called, and gives back the digest it is known by:
 * that of its content, or the one that the caller has for it (such as its file's).
 */
export async function upsertEntitySet(
  pool: Pool,
  tenant: string,
  entity: string,
  rows: readonly Entity[],
  digest = digestOfEntities(rows),
): Promise<string> {
  await inTransaction(pool, async (db) => {
    await db.query('INSERT INTO tenants (tenant) VALUES ($1) ON CONFLICT DO NOTHING', [tenant]);
    // A second process with the same set waits here until the first has committed or given up.
    const { rowCount } = await db.query(
      'INSERT INTO entity_sets (tenant, entity, digest) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
      [tenant, entity, digest],
    );
    if (rowCount === 0) return;
    for (let from = 0; from < rows.length; from += CHUNK) {
      await insertRows(db, digest, rows.slice(from, from + CHUNK), from);
    }
  });
  return digest;
}

async function insertRows(db: Db, digest: string, rows: readonly Entity[], from: number): Promise<void> {
  const json = rows.map(({ key, name, aliases, attributes, vector }, at) => ({
    position: from + at,
    key,
    name,
    aliases,
    terms: [...new Set([name, ...aliases].map(fold))],
    attributes,
    vector: vector ? bytesOf(vector).toString('base64') : null,
  }));
  // The same rows may be there under another name or tenant.
  await db.query(
    `INSERT INTO entities (digest, position, key, name, aliases, terms, attributes, vector)
     SELECT $1, position, key, name, aliases, terms, attributes, decode(vector, 'base64')
       FROM json_to_recordset($2) AS row (position int, key text, name text, aliases text[], terms text[],
                                          attributes jsonb, vector text)
     ON CONFLICT (digest, position) DO NOTHING`,
    [digest, JSON.stringify(json)],
  );
}

/** All rows of a set, in order; empty when there is no such set. */
export async function loadEntitySet(db: Db, digest: string): Promise<Entity[]> {
  const { rows } = await db.query<StoredEntity>(
    'SELECT key, name, aliases, attributes, vector FROM entities WHERE digest = $1 ORDER BY position',
    [digest],
  );
  return rows.map(entityOf);
}

/** As loadEntitySet, without the vectors: what canonical forms need. */
export async function loadEntityNames(db: Db, digest: string): Promise<Entity[]> {
  const { rows } = await db.query<StoredEntity>(
    'SELECT key, name, aliases, attributes FROM entities WHERE digest = $1 ORDER BY position',
    [digest],
  );
  return rows.map(entityOf);
}

/** Digest of the newest set of an entity that a tenant has of its own. */
export async function newestOwnSet(db: Db, tenant: string, entity: string): Promise<string | undefined> {
  const { rows } = await db.query<{ digest: string }>(
    'SELECT digest FROM entity_sets WHERE tenant = $1 AND entity = $2 ORDER BY sequence DESC LIMIT 1',
    [tenant, storable(entity)],
  );
  return rows[0]?.digest;
}

/** Digest of the newest set of an entity, the tenant's own before a shared one; undefined when there is none. */
async function newestEntitySet(db: Db, tenant: string, entity: string): Promise<string | undefined> {
  return (await newestOwnSet(db, tenant, entity)) ?? newestOwnSet(db, 'default', entity);
}

/** By key, else by name or alias as `fold` has it, in the newest set. Without its vector. */
export async function findEntity(
  db: Db,
  tenant: string,
  entity: string,
  keyOrName: string,
): Promise<Entity | undefined> {
  const digest = await newestEntitySet(db, tenant, entity);
  return digest === undefined ? undefined : findInSet(db, digest, keyOrName);
}

/** As findEntity, in a set of which the digest is known. */
export async function findInSet(db: Db, digest: string, keyOrName: string): Promise<Entity | undefined> {
  const { rows } = await db.query<StoredEntity>(
    `SELECT key, name, aliases, attributes FROM entities
      WHERE digest = $1 AND (key = $2 OR terms @> ARRAY[$3])
      ORDER BY key <> $2, terms[1] <> $3, position LIMIT 1`,
    [digest, storable(keyOrName), fold(storable(keyOrName))],
  );
  return rows[0] && entityOf(rows[0]);
}

/**
 * For autocompletion: rows of the newest set whose name begins with `q`, then those of which an alias does, then those
 * that hold it anywhere; by name within each. All rows for an empty `q`. Without vectors; undefined when the entity is
 * not known.
 */
export async function searchEntities(
  db: Db,
  tenant: string,
  entity: string,
  q: string,
  limit: number,
): Promise<Entity[] | undefined> {
  const digest = await newestEntitySet(db, tenant, entity);
  return digest === undefined ? undefined : searchSet(db, digest, q, limit);
}

/** As searchEntities, in a set of which the digest is known. */
export async function searchSet(db: Db, digest: string, q: string, limit: number): Promise<Entity[]> {
  const { rows } = await db.query<StoredEntity>(
    `SELECT key, name, aliases, attributes
       FROM entities CROSS JOIN LATERAL (
         SELECT min(CASE WHEN NOT starts_with(term, $2) THEN 2 WHEN term = terms[1] THEN 0 ELSE 1 END) AS place
           FROM unnest(terms) AS term WHERE strpos(term, $2) > 0
       ) AS match
      WHERE digest = $1 AND place IS NOT NULL
      ORDER BY place, terms[1] COLLATE "C", position
      LIMIT $3`,
    [digest, fold(storable(q)), limit],
  );
  return rows.map(entityOf);
}

function entityOf({ vector, ...row }: StoredEntity): Entity {
  return vector ? { ...row, vector: floatsOf(vector) } : row;
}

/** Little-endian on every machine that Node runs on in earnest; copied, since float32 must be aligned. */
function floatsOf(bytes: Buffer): Float32Array {
  return new Float32Array(new Uint8Array(bytes).buffer);
}

function bytesOf(vector: Float32Array): Buffer {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength);
}

/** Text as Postgres can take it: no stored name holds what is removed. */
function storable(text: string): string {
  return text.replaceAll('\u0000', '').toWellFormed();
}

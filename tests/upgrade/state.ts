/**
 * Reads the whole state of an installation in Redis and Postgres as JSON, and writes the state to an empty
 * installation.
 */
import type { Connection } from '@millrace/shared/redis/connection';
import type { Client } from 'pg';
import { keysOf } from '../support/test-redis.ts';

/** A Redis key without its prefix. Values are base64, because scripts write bytes. */
export interface KeyState {
  name: string;
  /** -1 for a key without a time to live. */
  ttlMs: number;
  type: string;
  /** string: the value. list, set: members. hash: fields and values in turn. zset: members and scores in turn. */
  values: string[];
  /** stream: the id of each entry, and its fields and values in turn. */
  entries?: [id: string, fields: string[]][];
  /** stream: its consumer groups by name, and the last id that each group has read. */
  groups?: [name: string, last: string][];
}

export interface InstallationState {
  /** Names of the applied migrations. */
  migrations: string[];
  /** Rows by table, as Postgres writes rows in JSON. */
  tables: Record<string, unknown[]>;
  keys: KeyState[];
}

/** The state, and the responses that the client of the release received. */
export interface Fixture {
  version: string;
  state: InstallationState;
  predictions: { id: string; input: unknown; status: string; output: unknown; idempotencyKey: string | null }[];
}

const encoded = (values: readonly (Buffer | string)[]): string[] =>
  values.map((value) => Buffer.from(value).toString('base64'));
const decoded = (values: readonly string[]): Buffer[] => values.map((value) => Buffer.from(value, 'base64'));

export async function readKeys(redis: Connection, prefix: string): Promise<KeyState[]> {
  const names = (await keysOf(redis, prefix)).sort();
  return Promise.all(names.map((name) => readKey(redis, prefix, name)));
}

async function readKey(redis: Connection, prefix: string, name: string): Promise<KeyState> {
  const type = await redis.type(name);
  const state: KeyState = { name: name.slice(prefix.length), ttlMs: await redis.pttl(name), type, values: [] };
  if (type === 'string') state.values = encoded([(await redis.getBuffer(name)) as Buffer]);
  else if (type === 'list') state.values = encoded(await redis.lrangeBuffer(name, 0, -1));
  else if (type === 'set') state.values = encoded(await redis.smembersBuffer(name));
  else if (type === 'zset') state.values = encoded(await redis.zrangeBuffer(name, '0', '-1', 'WITHSCORES'));
  else if (type === 'hash') state.values = encoded(((await redis.callBuffer('HGETALL', name)) as Buffer[]).flat());
  else if (type === 'stream') {
    const entries = (await redis.xrangeBuffer(name, '-', '+')) as [Buffer, Buffer[]][];
    state.entries = entries.map(([id, fields]) => [id.toString(), encoded(fields)]);
    const groups = (await redis.xinfo('GROUPS', name)) as (string | number)[][];
    state.groups = groups.map((group) => [String(group[1]), String(group[group.indexOf('last-delivered-id') + 1])]);
  } else throw new Error(`${name} is a ${type}, which is not a supported type.`);
  return state;
}

export async function writeKeys(redis: Connection, prefix: string, keys: readonly KeyState[]): Promise<void> {
  for (const { name, ttlMs, type, values, entries = [], groups = [] } of keys) {
    const key = prefix + name;
    const parts = decoded(values);
    if (type === 'string') await redis.set(key, parts[0] as Buffer);
    else if (type === 'list') await redis.rpush(key, ...parts);
    else if (type === 'set') await redis.sadd(key, ...parts);
    else if (type === 'hash') await redis.hset(key, ...parts);
    else if (type === 'zset')
      for (let at = 0; at < parts.length; at += 2) await redis.zadd(key, String(parts[at + 1]), parts[at] as Buffer);
    for (const [id, fields] of entries) await redis.xadd(key, id, ...decoded(fields));
    for (const [group, last] of groups) await redis.xgroup('CREATE', key, group, last, 'MKSTREAM');
    if (ttlMs > 0) await redis.pexpire(key, ttlMs);
  }
}

/** All rows except the rows of the migrations. Partitioned tables are read through the parent. */
export async function readTables(db: Client): Promise<Record<string, unknown[]>> {
  const tables = await db.query<{ name: string }>(
    `SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname NOT LIKE 'chaos%'
        AND c.relname NOT LIKE '%migration%' ORDER BY 1`,
  );
  const rows: Record<string, unknown[]> = {};
  for (const { name } of tables.rows) {
    const found = await db.query<{ row: unknown }>(
      `SELECT to_jsonb(t) AS row FROM "${name}" t ORDER BY to_jsonb(t)::text`,
    );
    if (found.rows.length > 0) rows[name] = found.rows.map(({ row }) => row);
  }
  return rows;
}

/** Referenced tables must come first: a failed table is tried again. */
export async function writeTables(db: Client, tables: Readonly<Record<string, unknown[]>>): Promise<void> {
  let left = Object.entries(tables);
  while (left.length > 0) {
    const failed: typeof left = [];
    let last: unknown;
    for (const [name, rows] of left) {
      const text = `INSERT INTO "${name}" OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_recordset(NULL::"${name}", $1)`;
      await db.query(text, [JSON.stringify(rows)]).catch((error: unknown) => {
        last = error;
        failed.push([name, rows]);
      });
    }
    if (failed.length === left.length) throw last;
    left = failed;
  }
}

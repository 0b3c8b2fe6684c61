/**
 * Builds an index of a large table while other processes write: `CREATE INDEX CONCURRENTLY`, outside a transaction. A table that is
 * partitioned by day gets the index partition by partition, because Postgres cannot build such an index of a whole table without
 * stopping its writers. A build that was interrupted leaves an invalid index, which the next build removes first.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Db } from './db.ts';
import { errorCodeOf } from './error-code.ts';
import { PostgresError } from './postgres-error.ts';

export interface OnlineIndex {
  unique: boolean;
  name: string;
  table: string;
  /** The text behind the name of the table: columns and conditions. */
  definition: string;
}

/** The second line of a migration that builds an index outside a transaction. */
const HEADER = /^-- outside a transaction\b/m;
const STATEMENT =
  /^CREATE (UNIQUE )?INDEX CONCURRENTLY IF NOT EXISTS ([a-z_][a-z0-9_]*) ON ([a-z_][a-z0-9_]*) ([^;]+);$/;
/** The suffix of a partition's index is as long as `_d20260131` or `_default`. */
const NAME_MAX = 63 - '_d20260131'.length;
/** A short lock of the table: the writers behind a longer wait would wait too. */
const SHORT_LOCK_MS = 2_000;
const RETRY_MS = 500;
/** Another session held a lock, or was the other side of a deadlock. */
const LOCKED = new Set(['55P03', '40P01']);
/** Retention has dropped the partition meanwhile. */
const GONE = new Set(['42P01', '42704']);

/** Returns the index of a migration that runs outside a transaction. Throws when a file has such a statement in another form. */
export function onlineIndexOf(file: string, sql: string): OnlineIndex | undefined {
  const code = sql
    .replace(/^--.*$/gm, '')
    .trim()
    .replace(/\s+/g, ' ');
  if (!HEADER.test(sql) && !/\bCONCURRENTLY\b/i.test(code)) return undefined;
  const [, unique, name = '', table = '', definition = ''] = STATEMENT.exec(code) ?? [];
  if (!HEADER.test(sql) || name === '')
    throw new PostgresError(
      `The migration ${file} is invalid: a build outside a transaction needs the line "-- outside a transaction" and exactly one statement, CREATE INDEX CONCURRENTLY IF NOT EXISTS name ON table (columns);`,
    );
  if (name.length > NAME_MAX)
    throw new PostgresError(`The migration ${file} is invalid: the name ${name} has more than ${NAME_MAX} characters.`);
  return { unique: unique !== undefined, name, table, definition };
}

/**
 * Resolves when the index is valid on the whole table. `timeoutMs` bounds each wait for older transactions, and the repetitions after
 * locks of other sessions. Changes `lock_timeout` of the connection.
 */
export async function buildOnlineIndex(db: Db, index: OnlineIndex, timeoutMs: number): Promise<void> {
  const build = new Build(db, index, timeoutMs);
  await ((await build.isPartitioned()) ? build.partitioned() : build.single(index.table, index.name));
}

class Build {
  readonly #db: Db;
  readonly #index: OnlineIndex;
  readonly #timeoutMs: number;
  readonly #endMs: number;

  constructor(db: Db, index: OnlineIndex, timeoutMs: number) {
    this.#db = db;
    this.#index = index;
    this.#timeoutMs = timeoutMs;
    this.#endMs = performance.now() + timeoutMs;
  }

  async isPartitioned(): Promise<boolean> {
    const { rows } = await this.#db.query<{ kind: string }>(
      'SELECT relkind AS kind FROM pg_class WHERE oid = $1::regclass',
      [this.#index.table],
    );
    return rows[0]?.kind === 'p';
  }

  async single(table: string, name: string): Promise<void> {
    const { unique, definition } = this.#index;
    await this.#withLocks(this.#timeoutMs, async () => {
      const { rows } = await this.#db.query(
        'SELECT FROM pg_index WHERE indexrelid = to_regclass($1) AND NOT indisvalid',
        [name],
      );
      if (rows.length > 0) await this.#db.query(`DROP INDEX CONCURRENTLY IF EXISTS ${name}`);
      const kind = unique ? 'UNIQUE INDEX' : 'INDEX';
      await this.#db.query(`CREATE ${kind} CONCURRENTLY IF NOT EXISTS ${name} ON ${table} ${definition}`);
    });
  }

  /** A new partition gets the index at its creation, as soon as the table has the index without its partitions. */
  async partitioned(): Promise<void> {
    const { unique, name, table, definition } = this.#index;
    const kind = unique ? 'UNIQUE INDEX' : 'INDEX';
    await this.#withLocks(SHORT_LOCK_MS, () =>
      this.#db.query(`CREATE ${kind} IF NOT EXISTS ${name} ON ONLY ${table} ${definition}`),
    );
    for (;;) {
      const partition = await this.#nextPartition();
      if (partition === undefined) return;
      const own = `${name}${partition.slice(table.length)}`;
      try {
        await this.single(partition, own);
        await this.#withLocks(SHORT_LOCK_MS, () => this.#db.query(`ALTER INDEX ${name} ATTACH PARTITION ${own}`));
      } catch (error) {
        if (!GONE.has(errorCodeOf(error) ?? '')) throw error;
      }
    }
  }

  /** Returns the first partition whose index is not yet a part of the index. */
  async #nextPartition(): Promise<string | undefined> {
    const { rows } = await this.#db.query<{ name: string }>(
      `SELECT c.relname AS name FROM pg_inherits p JOIN pg_class c ON c.oid = p.inhrelid
        WHERE p.inhparent = $1::regclass AND NOT EXISTS (
          SELECT FROM pg_index x JOIN pg_inherits i ON i.inhrelid = x.indexrelid
           WHERE x.indrelid = c.oid AND i.inhparent = $2::regclass)
        ORDER BY c.relname LIMIT 1`,
      [this.#index.table, this.#index.name],
    );
    return rows[0]?.name;
  }

  /** Repeats `work` while another session holds its locks. */
  async #withLocks(lockTimeoutMs: number, work: () => Promise<unknown>): Promise<void> {
    await this.#db.query(`SELECT set_config('lock_timeout', $1, false)`, [String(lockTimeoutMs)]);
    for (;;) {
      try {
        await work();
        return;
      } catch (error) {
        if (!LOCKED.has(errorCodeOf(error) ?? '') || performance.now() > this.#endMs) throw error;
      }
      await delay(RETRY_MS);
    }
  }
}

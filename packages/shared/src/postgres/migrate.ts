/**
 * Migrates a database to the schema in migrations/. Any number of processes may migrate at the same time: an advisory lock lets one
 * process at a time continue. Each file is applied, and recorded as applied, in its own transaction. A file that builds an index of a
 * large table runs outside a transaction, so that no writer waits (see online-index.ts).
 */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { checkServer, type Db, type Pool } from './db.ts';
import { errorCodeOf } from './error-code.ts';
import { MIGRATIONS_DIR, type Migration, readMigrations } from './migration-files.ts';
import { buildOnlineIndex } from './online-index.ts';
import { ensurePartitions } from './partitions.ts';
import { PostgresError, postgresError } from './postgres-error.ts';

export interface MigrateOptions {
  dir?: string;
  /** Time limit of the wait for another process that migrates. */
  lockTimeoutMs?: number;
  connectTimeoutMs?: number;
}

// Any number that no other program on this server locks. The number is the same in every version of Millrace.
const LOCK = 7_217_401_655;
/**
 * The lock of a build outside a transaction. A build waits for the end of each older statement. A process of version 0.1.0 that
 * migrates waits for LOCK inside a statement, so a build under LOCK would wait for itself.
 */
const BUILD_LOCK = 7_217_401_656;
const LOCK_POLL_MS = 100;
/** The time limit of a build, of its waits for older transactions, and of the wait for the build of another process. */
const BUILD_TIMEOUT_MS = 3_600_000;
const NO_SUCH_DATABASE = '3D000';
const DATABASE_EXISTS = new Set(['42P04', '23505']);
const PARTITION_DAYS = 3;

interface Applied {
  name: string;
  checksum: string;
  compatible: boolean;
}

/**
 * Applies the missing migrations and returns their names. Creates the database when the database does not exist and the user has
 * the right to create databases. Throws a PostgresError when Postgres is unreachable, or when the schema is newer than this code.
 */
export async function migrate(databaseUrl: string, options: MigrateOptions = {}): Promise<string[]> {
  const { dir = MIGRATIONS_DIR, lockTimeoutMs = 60_000, connectTimeoutMs = 5_000 } = options;
  const known = await readMigrations(dir);
  let client: pg.Client | undefined;
  try {
    client = await connectOrCreate(databaseUrl, connectTimeoutMs);
    await checkServer(client);
    await client.query(`SELECT set_config('lock_timeout', $1, false)`, [String(lockTimeoutMs)]);
    return await applyMissing(client, known, lockTimeoutMs);
  } catch (error) {
    throw postgresError(error, databaseUrl);
  } finally {
    // Also releases the lock.
    await client?.end().catch(() => {});
  }
}

/** Throws a PostgresError unless the database has all migrations of this code, and no newer migration that this code cannot use. */
export async function assertMigrated(pool: Pool, dir = MIGRATIONS_DIR): Promise<void> {
  const known = await readMigrations(dir);
  const applied = await readApplied(pool);
  const missing = known.filter(({ name }) => !applied.some((row) => row.name === name));
  if (missing.length > 0) {
    const names = missing.map(({ name }) => name).join(', ');
    throw new PostgresError(`The database lacks ${names}: run npm run migrate first.`);
  }
  refuseChanged(known, applied);
  refuseNewer(
    known,
    applied.filter((row) => !row.compatible),
  );
}

/** Throws a PostgresError unless the server of the pool is reachable, new enough and migrated. */
export async function checkPostgres(pool: Pool, databaseUrl: string): Promise<void> {
  try {
    await checkServer(pool);
    await assertMigrated(pool);
  } catch (error) {
    throw postgresError(error, databaseUrl);
  }
}

async function applyMissing(client: pg.Client, known: readonly Migration[], lockTimeoutMs: number): Promise<string[]> {
  const names: string[] = [];
  for (;;) {
    const build = await withLock(client, { lock: LOCK, timeoutMs: lockTimeoutMs }, async () => {
      await client.query(`CREATE TABLE IF NOT EXISTS millrace_migrations (
        name text PRIMARY KEY,
        checksum text NOT NULL,
        compatible boolean NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
      )`);
      for (const migration of await missingOf(client, known)) {
        if (migration.onlineIndex) return migration;
        await apply(client, migration);
        names.push(migration.name);
      }
      await ensurePartitions(client, PARTITION_DAYS);
      return undefined;
    });
    if (!build) return names;
    const isMine = await withLock(client, { lock: BUILD_LOCK, timeoutMs: BUILD_TIMEOUT_MS }, async () => {
      // Another process may have built the index during the wait.
      if (!(await missingOf(client, known)).includes(build)) return false;
      await applyOutside(client, build, lockTimeoutMs);
      return true;
    });
    if (isMine) names.push(build.name);
  }
}

async function missingOf(client: pg.Client, known: readonly Migration[]): Promise<Migration[]> {
  const applied = await readApplied(client);
  refuseChanged(known, applied);
  refuseNewer(known, applied);
  return known.filter(({ name }) => !applied.some((row) => row.name === name));
}

/** Runs `work` with an advisory lock. The wait is a sequence of short statements: see BUILD_LOCK. */
async function withLock<T>(
  client: pg.Client,
  { lock, timeoutMs }: { lock: number; timeoutMs: number },
  work: () => Promise<T>,
): Promise<T> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const { rows } = await client.query<{ locked: boolean }>('SELECT pg_try_advisory_lock($1) AS locked', [lock]);
    if (rows[0]?.locked) break;
    if (performance.now() > end)
      throw new PostgresError(
        `Another process has been migrating the database for ${Math.round(timeoutMs / 1_000)} s: wait for its end, and start again.`,
      );
    await delay(LOCK_POLL_MS);
  }
  try {
    return await work();
  } finally {
    // A connection that is broken has released the lock.
    await client.query('SELECT pg_advisory_unlock($1)', [lock]).catch(() => {});
  }
}

const RECORD = 'INSERT INTO millrace_migrations (name, checksum, compatible) VALUES ($1, $2, $3)';

async function apply(client: pg.Client, { name, sql, checksum, compatible }: Migration): Promise<void> {
  try {
    await client.query('BEGIN');
    await client.query(sql);
    await client.query(RECORD, [name, checksum, compatible]);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    throw new PostgresError(`The migration ${name} failed and was rolled back: ${messageOf(error)}.`, { cause: error });
  }
}

/** A build that was interrupted is not recorded. The next process that migrates removes its remains and builds again. */
async function applyOutside(client: pg.Client, migration: Migration, lockTimeoutMs: number): Promise<void> {
  const { name, checksum, compatible, onlineIndex } = migration;
  if (!onlineIndex) throw new Error(`The migration ${name} has no index to build.`);
  try {
    await buildOnlineIndex(client, onlineIndex, BUILD_TIMEOUT_MS);
    await client.query(RECORD, [name, checksum, compatible]);
  } catch (error) {
    throw new PostgresError(
      `The migration ${name} failed: ${messageOf(error)}. The next npm run migrate builds its index again.`,
      { cause: error },
    );
  } finally {
    await client.query(`SELECT set_config('lock_timeout', $1, false)`, [String(lockTimeoutMs)]).catch(() => {});
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function readApplied(db: Db): Promise<Applied[]> {
  const { rows: found } = await db.query(`SELECT to_regclass('millrace_migrations') IS NOT NULL AS exists`);
  if (!found[0].exists) return [];
  const { rows } = await db.query<Applied>('SELECT name, checksum, compatible FROM millrace_migrations ORDER BY name');
  return rows;
}

function refuseChanged(known: readonly Migration[], applied: readonly Applied[]): void {
  for (const { name, checksum } of applied) {
    const file = known.find((migration) => migration.name === name);
    if (file && file.checksum !== checksum) {
      throw new PostgresError(
        `The migration ${name} differs from the migration that was applied to this database: the file was changed later.`,
      );
    }
  }
}

function refuseNewer(known: readonly Migration[], applied: readonly Applied[]): void {
  const unknown = applied.filter(({ name }) => !known.some((migration) => migration.name === name));
  if (unknown.length === 0) return;
  const names = unknown.map(({ name }) => name).join(', ');
  throw new PostgresError(
    `The database is newer than this version of Millrace, which lacks ${names}: start the version that migrated the database.`,
  );
}

async function connectOrCreate(databaseUrl: string, timeoutMs: number): Promise<pg.Client> {
  try {
    return await connect(databaseUrl, timeoutMs);
  } catch (error) {
    if (errorCodeOf(error) !== NO_SUCH_DATABASE) throw error;
  }
  const url = new URL(databaseUrl);
  const name = decodeURIComponent(url.pathname.slice(1));
  url.pathname = '/postgres';
  const admin = await connect(url.href, timeoutMs);
  try {
    await admin.query(`CREATE DATABASE ${admin.escapeIdentifier(name)}${await encodingClause(admin)}`);
  } catch (error) {
    // Another process has created the database.
    if (!DATABASE_EXISTS.has(errorCodeOf(error) ?? '')) throw error;
  } finally {
    await admin.end();
  }
  return connect(databaseUrl, timeoutMs);
}

/** A server whose template has another encoding needs a template without a locale for a database in UTF8. */
async function encodingClause(admin: pg.Client): Promise<string> {
  const { rows } = await admin.query(
    `SELECT pg_encoding_to_char(encoding) AS encoding FROM pg_database WHERE datname = 'template1'`,
  );
  return rows[0]?.encoding === 'UTF8' ? '' : ` ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`;
}

async function connect(databaseUrl: string, timeoutMs: number): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    connectionTimeoutMillis: timeoutMs,
    application_name: 'millrace-migrate',
  });
  // Without a listener, a connection that breaks between two statements ends the process.
  client.on('error', () => {});
  await client.connect();
  return client;
}

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createPool } from '@millrace/shared/postgres/db';
import { assertMigrated, checkPostgres, migrate } from '@millrace/shared/postgres/migrate';
import { MIGRATIONS_DIR } from '@millrace/shared/postgres/migration-files';
import { ensurePartitions } from '@millrace/shared/postgres/partitions';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { asAdmin, urlOfDatabase } from '../services/template.ts';

let name: string;
let url: string;
let dir: string;
let files: string[];
beforeEach(async () => {
  name = `migrate_${Math.random().toString(36).slice(2)}`;
  url = urlOfDatabase(inject('databaseUrl'), name);
  dir = await mkdtemp(path.join(tmpdir(), 'millrace-migrations-'));
  await cp(MIGRATIONS_DIR, dir, { recursive: true });
  files = (await readdir(dir)).map((file) => path.parse(file).name).sort();
});
afterEach(async () => {
  await asAdmin(inject('databaseUrl'), `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
  await rm(dir, { recursive: true });
});

async function query(sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

async function withPool<T>(work: (pool: pg.Pool) => Promise<T>): Promise<T> {
  const pool = createPool({ databaseUrl: url, max: 1, statementTimeoutMs: 5_000, applicationName: 'migrate-test' });
  try {
    return await work(pool);
  } finally {
    await pool.end();
  }
}

describe('migrate', () => {
  test("creates the database, applies every file once, and creates today's partitions", async () => {
    expect(await migrate(url)).toEqual(files);
    expect(await migrate(url)).toEqual([]);
    const today = new Date().toISOString().slice(0, 10).replaceAll('-', '');
    expect(await query(`SELECT to_regclass('predictions_d${today}') IS NOT NULL AS there`)).toEqual([{ there: true }]);
  });

  test('is applied by one of twenty simultaneous processes', async () => {
    const program = path.join(import.meta.dirname, 'migrate-once.ts');
    const processes = Array.from({ length: 20 }, () => fork(program, [url]));
    await Promise.all(processes.map((each) => once(each, 'message')));
    const outcomes = await Promise.all(
      processes.map(async (each) => {
        const message = once(each, 'message');
        each.send('go');
        return (await message)[0] as string[];
      }),
    );
    expect(outcomes.filter((applied) => applied.length > 0)).toEqual([files]);
    expect(outcomes.filter((applied) => Array.isArray(applied) && applied.length === 0)).toHaveLength(19);
  }, 60_000);

  test('leaves nothing of a failed file, and continues from there when the file is fixed', async () => {
    const bad = path.join(dir, '9000_bad.sql');
    await writeFile(bad, 'CREATE TABLE half (); SELECT 1/0;');
    await expect(migrate(url, { dir })).rejects.toThrow(
      'The migration 9000_bad failed and was rolled back: division by zero.',
    );
    expect(await query(`SELECT to_regclass('half') AS half`)).toEqual([{ half: null }]);
    await writeFile(bad, 'CREATE TABLE half ();');
    expect(await migrate(url, { dir })).toEqual(['9000_bad']);
  });

  test('refuses a database that is newer than the code', async () => {
    await writeFile(path.join(dir, '9000_later.sql'), '-- compatible\nSELECT 1;');
    await migrate(url, { dir });
    await expect(migrate(url)).rejects.toThrow(
      'The database is newer than this version of Millrace, which lacks 9000_later: start the version that migrated the database.',
    );
  });

  test('refuses a file that was changed after its application, except for line ends', async () => {
    await migrate(url, { dir });
    const file = path.join(dir, `${files[0]}.sql`);
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replaceAll('\n', '\r\n'));
    expect(await migrate(url, { dir })).toEqual([]);
    await writeFile(file, `${text}-- more`);
    await expect(migrate(url, { dir })).rejects.toThrow(
      `The migration ${files[0]} differs from the migration that was applied`,
    );
  });

  test('refuses a database with another encoding than UTF8', async () => {
    await asAdmin(inject('databaseUrl'), `CREATE DATABASE ${name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0`);
    const sentence =
      /^Millrace needs a database with the encoding UTF8, and the database 'migrate_\w+' has LATIN1: create/;
    await expect(migrate(url)).rejects.toThrow(sentence);
    await expect(withPool((pool) => checkPostgres(pool, url))).rejects.toThrow(sentence);
  });

  test('reports an unreachable server in one sentence with its address and without the password', async () => {
    const closed = 'postgres://someone:secret@127.0.0.1:1/millrace?sslmode=disable';
    await expect(migrate(closed)).rejects.toThrow(
      /^Postgres at postgres:\/\/127\.0\.0\.1:1\/millrace cannot be used \(connect ECONNREFUSED .*\): check DATABASE_URL\.$/,
    );
  });

  test('gives up when a server accepts the connection and does not respond', async () => {
    const sockets = new Set<Socket>();
    const mute = createServer((socket) => sockets.add(socket)).listen(0, '127.0.0.1');
    await once(mute, 'listening');
    const { port } = mute.address() as AddressInfo;
    await expect(migrate(`postgres://x@127.0.0.1:${port}/x`, { connectTimeoutMs: 200 })).rejects.toThrow(
      'cannot be used',
    );
    for (const socket of sockets) socket.destroy();
    mute.close();
  });
});

describe('a migration outside a transaction', () => {
  const HEAD = '-- compatible\n-- outside a transaction\n';
  const validIndexes = (like: string) =>
    query(`SELECT c.relname AS name FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid
            WHERE x.indisvalid AND c.relname LIKE '${like}' ORDER BY 1`);

  test('builds an index on each partition and on later partitions while a transaction writes', async () => {
    await migrate(url, { dir });
    await writeFile(
      path.join(dir, '9000_index.sql'),
      `${HEAD}-- Reason.\nCREATE INDEX CONCURRENTLY IF NOT EXISTS by_model_found\n  ON predictions (model, id) WHERE status = 'failed';`,
    );
    const writer = new pg.Client({ connectionString: url });
    await writer.connect();
    try {
      await writer.query('BEGIN');
      await writer.query('LOCK TABLE predictions_default IN ROW EXCLUSIVE MODE');
      const migrated = migrate(url, { dir });
      // The build waits for the writer, and the rows of other writers do not wait for the build.
      await expect
        .poll(() =>
          query(`SELECT FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONC%' AND wait_event_type = 'Lock'`),
        )
        .toHaveLength(1);
      await query(`DO $$ BEGIN LOCK TABLE predictions_default IN ROW EXCLUSIVE MODE NOWAIT; END $$`);
      await writer.query('COMMIT');
      expect(await migrated).toEqual(['9000_index']);
    } finally {
      await writer.end();
    }
    const partitions = await query(`SELECT FROM pg_inherits WHERE inhparent = 'predictions'::regclass`);
    expect(await validIndexes('by_model_found%')).toHaveLength(partitions.length + 1);
    await withPool((pool) => ensurePartitions(pool, 10));
    expect(await query(`SELECT FROM pg_inherits WHERE inhparent = 'by_model_found'::regclass`)).toHaveLength(
      (await query(`SELECT FROM pg_inherits WHERE inhparent = 'predictions'::regclass`)).length,
    );
  });

  test('continues after an interrupted build: the invalid index is built again', async () => {
    await migrate(url);
    // Two equal rows make a unique build fail, which leaves its invalid index, as a kill does.
    await query('CREATE TABLE things (name text); INSERT INTO things VALUES (1), (1);');
    await writeFile(
      path.join(dir, '9000_index.sql'),
      `${HEAD}CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS things_by_name ON things (name);`,
    );
    await expect(migrate(url, { dir })).rejects.toThrow(
      'The migration 9000_index failed: could not create unique index "things_by_name". The next npm run migrate builds its index again.',
    );
    expect(await query(`SELECT indisvalid FROM pg_index WHERE indexrelid = 'things_by_name'::regclass`)).toEqual([
      { indisvalid: false },
    ]);
    await query('DELETE FROM things');
    expect(await migrate(url, { dir })).toEqual(['9000_index']);
    expect(await validIndexes('things_by_name')).toHaveLength(1);
    expect(await migrate(url, { dir })).toEqual([]);
  });

  test('is not blocked by a process of an older version that waits for its turn', async () => {
    await migrate(url);
    await query('CREATE TABLE things (name text)');
    await writeFile(
      path.join(dir, '9000_index.sql'),
      `${HEAD}CREATE INDEX CONCURRENTLY IF NOT EXISTS things_by_name ON things (name);`,
    );
    const [holder, older] = [new pg.Client({ connectionString: url }), new pg.Client({ connectionString: url })];
    await Promise.all([holder.connect(), older.connect()]);
    try {
      await holder.query('SELECT pg_advisory_lock(7217401655)');
      // Version 0.1.0 waits inside a statement, whose snapshot a concurrent build waits for.
      const waits = older.query('SELECT pg_advisory_lock(7217401655)');
      await expect
        .poll(() => query(`SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`))
        .toHaveLength(1);
      const migrated = Promise.all([migrate(url, { dir }), migrate(url, { dir })]);
      await holder.query('SELECT pg_advisory_unlock(7217401655)');
      await waits;
      await older.query('SELECT pg_advisory_unlock(7217401655)');
      expect((await migrated).flat()).toEqual(['9000_index']);
    } finally {
      await Promise.all([holder.end(), older.end()]);
    }
  });

  test.each([
    ['a build without the line', '-- compatible\nCREATE INDEX CONCURRENTLY IF NOT EXISTS a ON things (name);'],
    ['a second statement', `${HEAD}CREATE INDEX CONCURRENTLY IF NOT EXISTS a ON things (name); SELECT 1;`],
    ['a build that cannot be repeated', `${HEAD}CREATE INDEX CONCURRENTLY a ON things (name);`],
    ['another statement', `${HEAD}UPDATE things SET name = 1;`],
    [
      'a name without room for a day',
      `${HEAD}CREATE INDEX CONCURRENTLY IF NOT EXISTS ${'a'.repeat(54)} ON things (name);`,
    ],
  ])('refuses %s before anything is applied', async (_, sql) => {
    await writeFile(path.join(dir, '9000_index.sql'), sql);
    await expect(migrate(url, { dir })).rejects.toThrow('The migration 9000_index.sql is invalid: ');
  });
});

describe('a process that starts', () => {
  test('continues when the database is migrated', async () => {
    await migrate(url);
    await withPool((pool) => checkPostgres(pool, url));
  });

  test('refuses a database that is not migrated and names the next step', async () => {
    await asAdmin(inject('databaseUrl'), `CREATE DATABASE ${name}`);
    await withPool((pool) =>
      expect(checkPostgres(pool, url)).rejects.toThrow(
        `The database lacks ${files.join(', ')}: run npm run migrate first.`,
      ),
    );
  });

  test('continues beside a newer version with compatible migrations, and refuses other versions', async () => {
    await writeFile(path.join(dir, '9000_index.sql'), '-- compatible\nSELECT 1;');
    await migrate(url, { dir });
    await withPool((pool) => assertMigrated(pool));
    await writeFile(path.join(dir, '9001_breaking.sql'), 'SELECT 1;');
    await migrate(url, { dir });
    await withPool((pool) => expect(assertMigrated(pool)).rejects.toThrow('lacks 9001_breaking'));
  });
});

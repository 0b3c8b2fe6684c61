import { setTimeout as delay } from 'node:timers/promises';
import { findPrediction, insertPromises } from '@millrace/shared/ledger/ledger';
import { createPool, inTransaction, openConnections, type Pool } from '@millrace/shared/postgres/db';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { promiseRow } from '../ledger/rows.ts';
import { useTestDatabase } from '../support/test-database.ts';
import { startStallingProxy } from './stalling-proxy.ts';

const SIZE = 2;
const database = useTestDatabase();
let proxy: Awaited<ReturnType<typeof startStallingProxy>>;
let pool: Pool;
const broken: Error[] = [];
beforeAll(async () => {
  proxy = await startStallingProxy(database.url);
  pool = createPool({
    databaseUrl: proxy.url,
    max: SIZE,
    statementTimeoutMs: 300,
    applicationName: 'db-test',
    onError: (error) => broken.push(error),
  });
});
afterAll(async () => {
  await pool.end();
  await proxy.close();
});
/** A server on busy cores may take longer to open a connection than the limit of the pool, which the tests measure. */
const opened = (count = 1) => openConnections(pool, count, 60_000);
beforeEach(() => opened(SIZE));
afterEach(() => proxy.resume());

async function elapsed(work: Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await expect(work).rejects.toThrow();
  return performance.now() - startedAt;
}

describe('a pool', () => {
  test('returns integers as numbers, and refuses integers that a JavaScript number cannot hold', async () => {
    const { rows } = await pool.query('SELECT 9007199254740991::int8 AS most, count(*) AS count');
    expect(rows).toEqual([{ most: Number.MAX_SAFE_INTEGER, count: 1 }]);
    await expect(pool.query('SELECT 9007199254740992::int8')).rejects.toThrow('does not fit a number');
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  test('ends a statement that takes too long, also on the server', async () => {
    await expect(pool.query('SELECT pg_sleep(600)')).rejects.toThrow('statement timeout');
    const running = `SELECT FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)' AND state = 'active'`;
    // The server sends the error before it notes the end.
    await expect.poll(async () => (await pool.query(running)).rows).toEqual([]);
  });

  test('fails any number of calls in time when the server stops responding, and recovers', async () => {
    const kept = promiseRow();
    await insertPromises(pool, [kept]);
    proxy.stall();
    const calls = Array.from({ length: 6 }, () => elapsed(insertPromises(pool, [promiseRow()])));
    for (const ms of await Promise.all(calls)) expect(ms).toBeLessThan(2_000);
    // A new connection does not help, because the server does not respond.
    expect(await elapsed(findPrediction(pool, 'default', kept.id))).toBeLessThan(1_000);
    proxy.resume();
    await opened();
    expect(await findPrediction(pool, 'default', kept.id)).toMatchObject({ id: kept.id });
  });

  test('survives broken connections', async () => {
    await pool.query('SELECT 1');
    const before = broken.length;
    proxy.cut();
    await expect.poll(() => broken.length - before).toBeGreaterThanOrEqual(SIZE);
    await opened();
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });
});

describe('a transaction', () => {
  test('that throws leaves no data, and its connection stays usable', async () => {
    const row = promiseRow();
    const work = inTransaction(pool, async (db) => {
      await insertPromises(db, [row]);
      throw new Error('no');
    });
    await expect(work).rejects.toThrow('no');
    expect(await findPrediction(pool, 'default', row.id)).toBeUndefined();
    expect(pool.idleCount).toBe(pool.totalCount);
  });

  test('of a stopped process releases its locks by itself', async () => {
    await pool.query('CREATE TABLE lock_me ()');
    const client = await pool.connect();
    const ended = new Promise((resolve) => client.once('error', resolve));
    await client.query('BEGIN; LOCK TABLE lock_me');
    await ended;
    client.release(true);
    await pool.query('SELECT FROM lock_me');
  });

  test('fails when its connection ends between two statements, and the process continues', async () => {
    const ended = new Promise((resolve) => {
      pool.once('acquire', (client) => client.once('end', resolve));
    });
    const work = inTransaction(pool, async (db) => {
      await db.query('SELECT 1');
      proxy.cut();
      // No statement is in progress that could fail, so the connection itself reports its end.
      await ended;
      await db.query('SELECT 2');
    });
    await expect(work).rejects.toThrow();
    await opened();
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  test('that loses its server fails in time', async () => {
    const work = inTransaction(pool, async (db) => {
      await db.query('SELECT 1');
      proxy.stall();
      await db.query('SELECT 2');
    });
    expect(await elapsed(work)).toBeLessThan(2_000);
    proxy.resume();
    await delay(1);
    await opened();
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });
});

/** Tests the recorder with large ends and with rows that Postgres cannot write. */

import { findPrediction } from '@millrace/shared/ledger/ledger';
import type { Pool } from '@millrace/shared/postgres/db';
import pg from 'pg';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SHARD, useLive } from '../lifecycle/live-fixture.ts';
import { useTestDatabase } from '../support/test-database.ts';
import { pool, recordOf, type StartedRecorder, succeed } from './started.ts';

const MIB = 1_048_576;
const database = useTestDatabase();
const f = useLive();
let db: Pool;
/** The reads of the tests have no part in the short limit of the recorder. */
let reads: Pool;
let recorder: StartedRecorder | undefined;

beforeAll(async () => {
  const admin = new pg.Client({ connectionString: database.url });
  await admin.connect();
  // A row whose metadata names a lock waits for that lock, and exceeds its statement's time limit while the lock is
  // held.
  await admin.query(`
    CREATE FUNCTION wait_for_lock() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF NEW.metadata LIKE '{"lock":%' AND (NEW.metadata NOT LIKE '%"large"%' OR octet_length(NEW.result) > 100000) THEN
        PERFORM pg_advisory_xact_lock((NEW.metadata::jsonb->>'lock')::bigint);
      END IF;
      RETURN NEW;
    END $$;
    CREATE TRIGGER wait_for_lock BEFORE INSERT ON predictions FOR EACH ROW EXECUTE FUNCTION wait_for_lock();`);
  await admin.end();
});
beforeEach(() => {
  db = pool(database.url, 400);
  reads = pool(database.url);
});
afterEach(async () => {
  await recorder?.close();
  recorder = undefined;
  await Promise.all([db.end(), reads.end()]);
});

const recorded = async (id: string) => (await findPrediction(reads, 'default', id))?.status;
const untilRecorded = (ids: readonly string[]) =>
  expect.poll(async () => (await Promise.all(ids.map(recorded))).every((status) => status === 'succeeded')).toBe(true);
const untilEmpty = () => expect.poll(() => f.redis.xlen(f.keys.ledger(SHARD))).toBe(0);

/** Holds an advisory lock until the returned function is called. */
async function hold(lock: number): Promise<() => Promise<void>> {
  const holder = new pg.Client({ connectionString: database.url });
  await holder.connect();
  await holder.query('SELECT pg_advisory_lock($1)', [lock]);
  return () => holder.end();
}

describe('large outputs', () => {
  test('are written in statements of a few megabytes with at least one row', async () => {
    const ids = [];
    for (let at = 0; at < 12; at += 1) ids.push(await succeed(f, at === 5 ? 6 * MIB : MIB));
    recorder = recordOf(f, db);
    await untilRecorded(ids);
    const together = recorder.statements.filter((rows) => rows.length > 1);
    expect(together.length).toBeGreaterThan(0);
    for (const rows of together)
      expect(rows.reduce((bytes, { result }) => bytes + result.length, 0)).toBeLessThanOrEqual(4 * MIB);
    await untilEmpty();
  });

  test('do not block other ends while they are written', async () => {
    const release = await hold(1);
    const large = await succeed(f, MIB, { metadata: '{"lock":1}' });
    const small = await succeed(f, 10);
    recorder = recordOf(f, db);
    await untilRecorded([small]);
    await untilEmpty();
    expect(await recorded(large)).toBeUndefined();
    await release();
    await untilRecorded([large]);
    await expect.poll(() => f.redis.zcard(f.keys.setAside(SHARD))).toBe(0);
  });

  test('that Postgres never writes in time are recorded without the output, with their webhook', async () => {
    const release = await hold(2);
    const id = await succeed(f, MIB, {
      metadata: '{"lock":2,"of":"large"}',
      options: '{"webhook":{"url":"https://a.example/"}}',
    });
    recorder = recordOf(f, db);
    await untilRecorded([id]);
    expect(await findPrediction(reads, 'default', id)).toMatchObject({ status: 'succeeded', result: 'null' });
    // The recorder reports both after the reply to its commit.
    await expect.poll(() => recorder?.deliveries.map(({ prediction }) => prediction)).toEqual([id]);
    await expect.poll(() => recorder?.omitted()).toBe(1);
    await release();
  });
});

describe('a row that Postgres cannot write in time', () => {
  test('does not block the other rows of its statement, and is written when possible', async () => {
    const release = await hold(3);
    const before = await Promise.all(Array.from({ length: 10 }, () => succeed(f, 10)));
    const stuck = await succeed(f, 10, { metadata: '{"lock":3}' });
    const after = await Promise.all(Array.from({ length: 10 }, () => succeed(f, 10)));
    recorder = recordOf(f, db);
    await untilRecorded([...before, ...after]);
    await untilEmpty();
    expect(await recorded(stuck)).toBeUndefined();
    await release();
    await untilRecorded([stuck]);
  });

  test('is taken over from a dead recorder', async () => {
    const release = await hold(4);
    const stuck = await succeed(f, 10, { metadata: '{"lock":4}' });
    recorder = recordOf(f, db);
    await expect.poll(() => f.redis.hget(f.keys.setAsideTries(SHARD), stuck)).not.toBeNull();
    await recorder.close();
    await release();
    // The lease of the dead recorder has ended.
    await f.redis.zadd(f.keys.setAside(SHARD), 1, stuck);
    recorder = recordOf(f, db, { consumer: 'r2' });
    await untilRecorded([stuck]);
  });
});

test('while Postgres refuses writes, no row is set aside', async () => {
  const ids = await Promise.all(Array.from({ length: 5 }, () => succeed(f, 10)));
  const name = new URL(database.url).pathname.slice(1);
  await db.query(`ALTER DATABASE ${name} SET default_transaction_read_only = on`);
  const readOnly = pool(database.url);
  recorder = recordOf(f, readOnly);
  await expect.poll(() => recorder?.statements.length).toBeGreaterThan(2);
  expect(recorder.statements.every((rows) => rows.length === ids.length)).toBe(true);
  expect(await f.redis.zcard(f.keys.setAside(SHARD))).toBe(0);
  expect(await f.redis.xlen(f.keys.ledger(SHARD))).toBeGreaterThan(0);
  await recorder.close();
  await readOnly.end();
  await db.query(`ALTER DATABASE ${name} RESET default_transaction_read_only`);
  recorder = recordOf(f, db, { consumer: 'r3' });
  await untilRecorded(ids);
});

test('a statement that never ends is visible: the last turn of the recorder is old', async () => {
  await succeed(f, 10);
  const hanging = Promise.withResolvers<never>();
  recorder = recordOf(f, db, { record: () => hanging.promise });
  await expect.poll(() => recorder?.statements.length).toBe(1);
  // An idle recorder turns every two seconds.
  await expect.poll(() => recorder?.stalledMs() ?? 0).toBeGreaterThan(4_000);
  hanging.reject(new Error('the statement was ended'));
  await expect.poll(() => recorder?.stalledMs() ?? Number.POSITIVE_INFINITY).toBeLessThan(4_000);
});

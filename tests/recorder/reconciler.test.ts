/** Tests which ends the reconciler sends to the recorder again, and how much of the ledger a pass reads at once. */

import { findPrediction, insertPromises, markTerminal, openPromises, readTasks } from '@millrace/shared/ledger/ledger';
import type { Pool } from '@millrace/shared/postgres/db';
import { ledgerTask } from '@millrace/shared/predictions/ledger-task';
import { BULL_PRIORITY } from '@millrace/shared/predictions/prediction';
import { createQueues, type Queues } from '@millrace/shared/queue/queues';
import pino from 'pino';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Reconciler, startReconciler } from '../../apps/worker/src/recorder/reconciler.ts';
import { promiseRow } from '../ledger/rows.ts';
import { newId, SHARD, TARGET, useLive } from '../lifecycle/live-fixture.ts';
import { useTestDatabase } from '../support/test-database.ts';
import { connectTestRedis } from '../support/test-redis.ts';
import { pool, recordOf, succeed } from './started.ts';

const database = useTestDatabase();
const f = useLive();
let db: Pool;
let queues: Queues;
let reconciler: Reconciler;
let tasksRead: number[] = [];
const longAgo = Date.now() - 60_000;

beforeAll(async () => {
  db = pool(database.url);
  queues = createQueues(f.redis, f.keys, () => {});
  reconciler = startReconciler({
    redis: f.redis,
    keys: f.keys,
    live: f.live,
    queues,
    workerId: 'w1',
    // The test runs each pass itself.
    intervalMs: 1_000_000,
    liveTtlMs: 600_000,
    openPromises: (options) => openPromises(db, options),
    isClockRight: () => true,
    readTasks: async (ids) => {
      const tasks = await readTasks(db, ids);
      tasksRead.push([...tasks.values()].reduce((bytes, task) => bytes + (task?.length ?? 0), 0));
      return tasks;
    },
    expire: (row, error, nowMs) => markTerminal(db, row, { status: 'expired', result: error, completedAt: nowMs }),
    fail: (row, error, nowMs) => markTerminal(db, row, { status: 'failed', result: error, completedAt: nowMs }),
    models: async () => [TARGET.model],
    onUnreadable: () => {},
    onOutcome: () => {},
    log: pino({ level: 'silent' }),
  });
  await reconciler.pass();
});
// Closed before the fixture closes Redis. Closed later, on a cluster, they did not end within two minutes.
afterAll(async () => {
  await reconciler.close();
  await queues.close();
  await db.end();
});
beforeEach(() => {
  tasksRead = [];
});

const entries = () => f.redis.xlen(f.keys.ledger(SHARD));

const taskOf = (row: string) => JSON.stringify({ shape: 'one', rows: [row], keys: [null], digest: 'd', epoch: 0 });

/** A promise that has ended in Redis and is open in the ledger. */
async function endedPromise(): Promise<string> {
  const id = newId(longAgo);
  await insertPromises(db, [promiseRow({ id, model: TARGET.model, createdAt: longAgo, expiresAt: null })]);
  return succeed(f, 10, { id, expiresAt: null });
}

test('an end whose entry waits in the stream is not sent again by any number of passes', async () => {
  await Promise.all(Array.from({ length: 20 }, () => endedPromise()));
  const before = await entries();
  for (let pass = 0; pass < 5; pass += 1) await reconciler.pass();
  expect(await entries()).toBe(before);
  const recorder = recordOf(f, db);
  await expect.poll(entries).toBe(0);
  await recorder.close();
});

test('an end whose entry is lost is sent again once and recorded', async () => {
  const id = await endedPromise();
  await f.redis.xtrim(f.keys.ledger(SHARD), 'MAXLEN', 0);
  await reconciler.pass();
  await reconciler.pass();
  expect(await entries()).toBe(1);
  await reconciler.pass();
  expect(await entries()).toBe(1);
  const recorder = recordOf(f, db);
  await expect.poll(async () => (await findPrediction(db, 'default', id))?.status).toBe('succeeded');
  await recorder.close();
});

test('an end that is set aside is not sent again', async () => {
  const id = await endedPromise();
  await f.redis.xtrim(f.keys.ledger(SHARD), 'MAXLEN', 0);
  await f.redis.zadd(f.keys.setAside(SHARD), Date.now() + 60_000, id);
  for (let pass = 0; pass < 4; pass += 1) await reconciler.pass();
  expect(await entries()).toBe(0);
});

test('a lost promise is restored with its own priority in the queue', async () => {
  const names = ['high', 'normal', 'low'] as const;
  const rows = names.map((priority) =>
    promiseRow({
      id: newId(longAgo),
      model: TARGET.model,
      createdAt: longAgo,
      expiresAt: null,
      priority,
      task: taskOf('1'),
    }),
  );
  await insertPromises(db, rows);
  expect(await reconciler.pass()).toBe(3);
  const queue = `${f.keys.bull(SHARD)}:${TARGET.model}`;
  for (const { id, priority } of rows) {
    const state = await f.live.read(id);
    const job = await f.redis.hget(`${queue}:${state?.job}`, 'priority');
    expect([state?.priority, job]).toEqual([BULL_PRIORITY[priority], String(BULL_PRIORITY[priority])]);
  }
});

/** Subscribes as a process of 0.1.0 does. Returns a function that ends the subscription. */
async function subscribeAsOlder(): Promise<() => void> {
  const older = connectTestRedis();
  await older.subscribe(f.keys.registryChannel());
  return () => older.disconnect();
}

test('beside a process of 0.1.0 lost promises are restored with their tasks, one megabyte at a time', async () => {
  const leave = await subscribeAsOlder();
  const task = taskOf('x'.repeat(400_000));
  const rows = Array.from({ length: 7 }, () =>
    promiseRow({ id: newId(longAgo), model: TARGET.model, createdAt: longAgo, expiresAt: null, task }),
  );
  await insertPromises(db, rows);
  expect(await reconciler.pass()).toBe(7);
  expect(Math.max(...tasksRead)).toBeLessThanOrEqual(1_048_576);
  expect(await f.live.task(rows[3]?.id as string)).toBe(task);
  leave();
});

test('a lost promise with a large task is restored by its name, without a read of its task', async () => {
  const text = taskOf('x'.repeat(400_000));
  const rows = [taskOf('1'), text].map((task) =>
    promiseRow({ id: newId(longAgo), model: TARGET.model, createdAt: longAgo, expiresAt: null, rows: 3, task }),
  );
  await insertPromises(db, rows);
  expect(await reconciler.pass()).toBe(2);
  // Nobody subscribes, as while only recorders run. The next pass reads no task either.
  expect(await reconciler.pass()).toBe(0);
  expect(Math.max(...tasksRead)).toBeLessThan(1_000);
  const tasks = await Promise.all(rows.map(({ id }) => f.live.task(id)));
  expect(tasks).toEqual([taskOf('1'), ledgerTask(text.length)]);
});

test('beside a process of 0.1.0 an open promise gets its task back into its live state, also while another worker reconciles', async () => {
  const text = taskOf('x'.repeat(100_000));
  const rows = [text, text].map((task) =>
    promiseRow({ id: newId(longAgo), model: TARGET.model, createdAt: longAgo, expiresAt: null, task }),
  );
  await insertPromises(db, rows);
  const [waiting = '', running = ''] = rows.map(({ id }) => id);
  for (const id of [waiting, running])
    await f.submit({ id, createdAt: longAgo, expiresAt: null, task: ledgerTask(text.length) });
  const [taken] = await f.take([running]);
  await f.redis.set(f.keys.reconciler(), 'a worker of 0.1.0');
  const leave = await subscribeAsOlder();
  await reconciler.pass();
  leave();
  await f.redis.del(f.keys.reconciler());
  expect(await Promise.all([waiting, running].map((id) => f.live.task(id)))).toEqual([text, text]);
  const states = await Promise.all([waiting, running].map((id) => f.live.read(id)));
  expect(states.map((state) => [state?.status, state?.attempts, state?.job])).toEqual([
    ['queued', 0, `p-${waiting}`],
    ['running', 1, `p-${running}`],
  ]);
  expect(await f.finish(taken!)).toBe('written');
});

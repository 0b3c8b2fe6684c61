/** Tests that the recorder pauses between its reads, and reads a stream with more entries without a pause. */
import type { Pool } from '@millrace/shared/postgres/db';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RecorderDeps } from '../../apps/worker/src/recorder/recorder.ts';
import { SetAside } from '../../apps/worker/src/recorder/set-aside.ts';
import { StreamRecorder } from '../../apps/worker/src/recorder/stream-recorder.ts';
import { SHARD, useLive } from '../lifecycle/live-fixture.ts';
import { useTestDatabase } from '../support/test-database.ts';
import { depsOf, pool, succeed } from './started.ts';

const database = useTestDatabase();
const f = useLive();
let db: Pool;
let deps: RecorderDeps;
let pauses = 0;
let streams: StreamRecorder;

beforeAll(() => {
  db = pool(database.url);
  deps = depsOf(f, db);
  const { record, postgresResponds, log } = deps;
  const parts = {
    deps,
    setAside: new SetAside(f.redis, f.keys),
    writing: { record, postgresResponds, onWritten: async () => {}, closed: () => false, log },
    signal: new AbortController().signal,
    pause: async () => {
      pauses += 1;
    },
    retryDelaysMs: [20],
  };
  streams = new StreamRecorder(parts, () => {});
});
afterAll(async () => {
  deps.reader.disconnect();
  await db.end();
});

const left = () => f.redis.xlen(f.keys.ledger(SHARD));

test('a stream with more entries than a read is read again at once, and an emptied stream after a pause', async () => {
  await Promise.all(Array.from({ length: 70 }, () => succeed(f, 10)));
  expect(await left()).toBe(70);
  await streams.recordNext();
  expect([await left(), pauses]).toEqual([6, 0]);
  // A read that takes longer than the pace needs no pause.
  await expect
    .poll(async () => {
      await succeed(f, 10);
      await streams.recordNext();
      return pauses;
    })
    .toBeGreaterThan(0);
  expect(await left()).toBe(0);
});

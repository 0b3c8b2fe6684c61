/** Entries that a recorder has read and not finished: a dead recorder's entries are taken over, a living recorder's are not. */

import { findPrediction } from '@millrace/shared/ledger/ledger';
import type { Pool } from '@millrace/shared/postgres/db';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SHARD, useLive } from '../lifecycle/live-fixture.ts';
import { useTestDatabase } from '../support/test-database.ts';
import { pool, recordOf, type StartedRecorder, succeed } from './started.ts';

const GROUP = 'recorder';
/** Longer than the time after which a recorder counts as dead. */
const LONG_AGO_MS = 60_000;
const database = useTestDatabase();
const f = useLive();
const stream = () => f.keys.ledger(SHARD);
let db: Pool;
let recorder: StartedRecorder | undefined;

beforeEach(() => {
  db = pool(database.url);
});
afterEach(async () => {
  await recorder?.close();
  recorder = undefined;
  await db.end();
});

/** Ends a prediction whose entry `consumer` reads and never finishes. Resolves to the id. */
async function readBy(consumer: string, idleMs: number): Promise<string> {
  const id = await succeed(f, 10);
  // The group exists when a recorder has started before.
  await f.redis.xgroup('CREATE', stream(), GROUP, '0', 'MKSTREAM').catch((error: Error) => {
    if (!error.message.includes('BUSYGROUP')) throw error;
  });
  await f.redis.xreadgroup('GROUP', GROUP, consumer, 'COUNT', 100, 'STREAMS', stream(), '>');
  await setIdle(consumer, idleMs);
  return id;
}

/** Sets the time since a consumer has read its entries. */
async function setIdle(consumer: string, idleMs: number): Promise<void> {
  for (const entry of await entriesOf(consumer))
    await f.redis.call('XCLAIM', stream(), GROUP, consumer, 0, entry, 'IDLE', idleMs);
}

async function entriesOf(consumer: string): Promise<string[]> {
  const entries = await f.redis.xpending(stream(), GROUP, '-', '+', 100, consumer);
  return (entries as [id: string][]).map(([id]) => id);
}

const recorded = async (id: string) => (await findPrediction(db, 'default', id))?.status;

test('a starting recorder takes over the entries of a dead recorder, and none of a living recorder', async () => {
  const dead = await readBy('dead', LONG_AGO_MS);
  const living = await readBy('living', 0);
  recorder = recordOf(f, db, { consumer: 'next' });
  await expect.poll(() => recorded(dead)).toBe('succeeded');
  expect(await entriesOf('living')).toHaveLength(1);
  expect(await recorded(living)).toBeUndefined();
  await setIdle('living', LONG_AGO_MS);
  // A running recorder looks for abandoned entries again and again.
  await expect.poll(() => recorded(living)).toBe('succeeded');
  await expect.poll(() => f.redis.xlen(stream())).toBe(0);
});

/** What the ledger keeps for a timeline: over an end, a retry, and a restored live state. */
import { findPrediction, insertPromises, markRetried, recordTerminal } from '@millrace/shared/ledger/ledger';
import { optionsTextOfRow } from '@millrace/shared/ledger/options-text';
import { findRecorded } from '@millrace/shared/ledger/recorded';
import { createPool, type Pool } from '@millrace/shared/postgres/db';
import { newPredictionId, shardOf } from '@millrace/shared/predictions/ids';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { useTestDatabase } from '../support/test-database.ts';
import { promiseRow, terminalRow } from './rows.ts';

const NOW = Date.now();
const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 vendor=1';
const database = useTestDatabase();
let pool: Pool;
beforeAll(() => {
  pool = createPool({ databaseUrl: database.url, max: 2, statementTimeoutMs: 10_000, applicationName: 'test' });
});
afterAll(() => pool.end());

const find = async (id: string) => {
  const row = await findPrediction(pool, 'default', id);
  if (row === undefined) throw new Error('the ledger does not have the prediction');
  return row;
};

test('an end has its worker and its times, and a retry makes its attempt an earlier attempt', async () => {
  const promise = promiseRow({ createdAt: NOW, options: { trace: TRACE } });
  await insertPromises(pool, [promise]);
  expect(await findRecorded(pool, 'default', promise.id)).toBeUndefined();
  const facts = { workerId: 'w1', queuedAt: NOW + 2, batchedAt: NOW + 5, earlierAttempts: null };
  const end = { ...terminalRow(promise), ...facts, status: 'failed' as const, result: '{}', startedAt: NOW + 4 };
  await recordTerminal(pool, [end], { nowMs: NOW + 9 });
  expect(await find(promise.id)).toMatchObject({ ...facts, options: { trace: TRACE } });
  expect(await findRecorded(pool, 'default', promise.id)).toEqual({ recordedAt: NOW + 9, deliveredAt: [] });
  expect(await findRecorded(pool, 'other', promise.id)).toBeUndefined();

  await markRetried(pool, { tenant: 'default', id: promise.id, opening: 0, nowMs: NOW + 20 });
  const retried = await find(promise.id);
  expect(retried).toMatchObject({ workerId: null, queuedAt: null, batchedAt: null });
  expect(await findRecorded(pool, 'default', promise.id)).toBeUndefined();
  // The live state that the retry or the reconciler writes has the trace and the earlier attempt.
  expect(JSON.parse(optionsTextOfRow(retried))).toEqual({ trace: TRACE, past: [[1, 'w1', NOW + 4]] });

  const again = { ...end, opening: 1, attempts: 2, workerId: 'w2', startedAt: NOW + 30, completedAt: NOW + 40 };
  await recordTerminal(pool, [{ ...again, earlierAttempts: JSON.stringify([[1, 'w1', NOW + 4]]) }], {
    nowMs: NOW + 50,
  });
  await markRetried(pool, { tenant: 'default', id: promise.id, opening: 1, nowMs: NOW + 60 });
  const { past } = JSON.parse(optionsTextOfRow(await find(promise.id))) as { past: unknown };
  expect(past).toEqual([
    [1, 'w1', NOW + 4],
    [2, 'w2', NOW + 30],
  ]);
});

test('a prediction with the oldest possible id is found', async () => {
  const row = terminalRow({ id: newPredictionId(shardOf('m'), 1), createdAt: 1 });
  await recordTerminal(pool, [row], { nowMs: NOW });
  expect(await findRecorded(pool, 'default', row.id)).toEqual({ recordedAt: NOW, deliveredAt: [] });
});

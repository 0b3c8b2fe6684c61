/** Tests retries by processes of 0.1.0, whose openings have no number: the later deadline distinguishes the new end from the old end. */
import {
  findPrediction,
  insertPromises,
  markRetried,
  recordTerminal,
  type TerminalRow,
} from '@millrace/shared/ledger/ledger';
import { createPool, type Pool } from '@millrace/shared/postgres/db';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { useTestDatabase } from '../support/test-database.ts';
import { promiseRow, terminalRow } from './rows.ts';

const database = useTestDatabase();
let db: Pool;
beforeAll(() => {
  const onError = () => {};
  db = createPool({ databaseUrl: database.url, max: 2, statementTimeoutMs: 10_000, applicationName: 'old', onError });
});
afterAll(() => db.end());

/** Changes the ledger as an API of 0.1.0 does before the API reopens the live state. Returns the new deadline. */
async function retryAsBefore(row: TerminalRow): Promise<number> {
  const expiresAt = (row.expiresAt as number) + 1_000;
  const { rowCount } = await db.query(
    `UPDATE predictions
        SET status = 'queued', result = '', started_at = NULL, completed_at = NULL, inference_ms = NULL,
            batch_size = NULL, promised = true, expires_at = $3, superseded_at = completed_at
      WHERE id = $1 AND tenant = $2 AND status IN ('failed', 'canceled', 'expired')`,
    [row.id, row.tenant, expiresAt],
  );
  if (rowCount === 0) await insertPromises(db, [{ ...row, expiresAt }]);
  return expiresAt;
}

const canceled = () => terminalRow({ status: 'canceled', result: '{"code":"canceled"}', attempts: 1 });
const applied = async (row: TerminalRow) => (await recordTerminal(db, [row])).applied;
const eventsOf = async ({ id }: TerminalRow) =>
  (await db.query('SELECT type FROM events WHERE prediction = $1 ORDER BY sequence', [id])).rows.map(
    ({ type }) => type,
  );
const webhook = { webhook: { url: 'https://receiver.example/' } };

describe('a retry by 0.1.0 before the record of the earlier end', () => {
  test.each<[string, Partial<TerminalRow>]>([
    ['a success of the next attempt', { status: 'succeeded', attempts: 2 }],
    ['a cancellation without another attempt', { status: 'canceled', attempts: 1 }],
  ])('of a promised prediction: its new end, %s, takes the next opening', async (_, given) => {
    const first = { ...canceled(), options: webhook };
    await insertPromises(db, [promiseRow(first)]);
    const expiresAt = await retryAsBefore(first);
    expect(await applied(first)).toBe(1);
    const second = { ...first, ...given, expiresAt, completedAt: first.completedAt + 20 };
    expect(await applied(second)).toBe(1);
    expect(await findPrediction(db, 'default', first.id)).toMatchObject({
      status: given.status,
      opening: 1,
      expiresAt,
      supersededAt: first.completedAt,
      completedAt: second.completedAt,
    });
    for (const late of [first, second, first]) expect(await applied(late)).toBe(0);
    expect(await eventsOf(first)).toEqual(['prediction.canceled', `prediction.${given.status}`]);
  });

  test('of a prediction that only Redis had gives its new end the next opening, and a further retry has the first allowance', async () => {
    const first = { ...canceled(), options: webhook };
    const expiresAt = await retryAsBefore(first);
    expect(await applied(first)).toBe(1);
    const second = { ...first, expiresAt, completedAt: first.completedAt + 20 };
    expect(await applied(second)).toBe(1);
    for (const late of [first, second]) expect(await applied(late)).toBe(0);
    expect(await eventsOf(first)).toEqual(['prediction.canceled', 'prediction.canceled']);
    const nowMs = second.completedAt + 20;
    const again = await markRetried(db, { tenant: 'default', id: first.id, opening: 1, nowMs });
    expect(again).toMatchObject({ opening: 2, expiresAt: nowMs + (first.expiresAt as number) - first.createdAt });
  });
});

test('a second end with the same deadline, as from a Redis without its last second, is refused', async () => {
  const first = canceled();
  expect(await applied(first)).toBe(1);
  expect(await applied({ ...first, status: 'succeeded', attempts: 2, completedAt: first.completedAt + 20 })).toBe(0);
  expect(await applied({ ...first, status: 'succeeded', attempts: 2, expiresAt: null })).toBe(0);
});

/** The bytes of an event are written with the event and never change, and are the JSON that the code makes from a prediction. */

import { problem } from '@millrace/shared/errors';
import { markRetried, recordTerminal } from '@millrace/shared/ledger/ledger';
import { createPool, type Pool } from '@millrace/shared/postgres/db';
import { insertEndpointEvent } from '@millrace/shared/webhooks/endpoint-event';
import { EVENT_COLUMNS, eventBody, type StoredEvent } from '@millrace/shared/webhooks/event';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { useTestDatabase } from '../support/test-database.ts';
import { terminalRow } from './rows.ts';

const database = useTestDatabase();
const PUBLIC_URL = 'https://api.example.com/ml/';
let pool: Pool;

beforeAll(async () => {
  pool = createPool({ databaseUrl: database.url, max: 4, statementTimeoutMs: 10_000, applicationName: 'event-bodies' });
  await pool.query(`INSERT INTO webhook_endpoints (tenant, url) VALUES ('default', 'https://hooks.example.com/a')`);
});
afterAll(() => pool.end());

async function eventsOf(column: 'prediction' | 'type', value: string): Promise<StoredEvent[]> {
  const { rows } = await pool.query<StoredEvent>(
    `SELECT ev.id, ${EVENT_COLUMNS} FROM events ev LEFT JOIN predictions p ON p.id = ev.prediction
      WHERE ev.${column} = $1 ORDER BY ev.sequence`,
    [value],
  );
  return rows;
}

const odd = '"quotes" \\ and \n lines, \u007f, 日本, 😀, </script>';
const long = 'x'.repeat(9_000);

test.each<[string, object]>([
  ['a success', { status: 'succeeded', result: '{"y":1}' }],
  ['a failure', { status: 'failed', result: JSON.stringify(problem('inference_failed', odd)) }],
  ['a failure with a large error', { status: 'failed', result: JSON.stringify(problem('inference_failed', long)) }],
  ['a failure without a code', { status: 'failed', result: '' }],
  ['a cancellation', { status: 'canceled', result: JSON.stringify(problem('canceled', 'By its owner.')) }],
  ['odd metadata', { status: 'succeeded', metadata: JSON.stringify({ 'a "key"': odd, order: 'A-17' }) }],
  ['odd names', { status: 'succeeded', model: odd.slice(0, 40), version: odd.slice(0, 20) }],
  [
    'a time at the start of a second',
    { status: 'succeeded', completedAt: 1_767_225_601_000, createdAt: 1_767_225_600_007 },
  ],
])('%s has the bytes that the code makes from the prediction', async (_, given) => {
  const row = terminalRow(given);
  for (const publicUrl of [PUBLIC_URL, undefined]) {
    const one = publicUrl === undefined ? { ...terminalRow(given) } : row;
    await recordTerminal(pool, [one], { publicUrl, nowMs: 1_767_225_602_040 });
    const [event] = await eventsOf('prediction', one.id);
    expect(event?.body).toBe(eventBody({ ...(event as StoredEvent), body: null }, publicUrl));
  }
});

test('the bytes stay after a retry, after another end, under another public URL and without the prediction', async () => {
  const failed = terminalRow({
    status: 'failed',
    result: JSON.stringify(problem('worker_lost', 'first')),
    attempts: 1,
  });
  await recordTerminal(pool, [failed], { publicUrl: PUBLIC_URL });
  const [first] = await eventsOf('prediction', failed.id);
  const bytes = first?.body as string;
  expect(JSON.parse(bytes).data).toMatchObject({ status: 'failed', opening: 0, error: { detail: 'first' } });
  await markRetried(pool, { tenant: 'default', id: failed.id, opening: 0, nowMs: Date.now() });
  const second = { ...failed, attempts: 2, opening: 1, result: JSON.stringify(problem('worker_lost', 'second')) };
  await recordTerminal(pool, [{ ...second, completedAt: failed.completedAt + 50 }], {
    publicUrl: 'https://other.example',
  });
  const [same, next] = await eventsOf('prediction', failed.id);
  expect(eventBody(same as StoredEvent, 'https://other.example')).toBe(bytes);
  expect(JSON.parse(next?.body as string).data).toMatchObject({ opening: 1, error: { detail: 'second' } });
  await pool.query('DELETE FROM predictions WHERE id = $1', [failed.id]);
  expect(eventBody((await eventsOf('prediction', failed.id))[0] as StoredEvent, undefined)).toBe(bytes);
});

test('an event of an older process has the JSON that is made from its prediction', async () => {
  const row = terminalRow({ status: 'succeeded' });
  await recordTerminal(pool, [row], { publicUrl: PUBLIC_URL });
  const [event] = await eventsOf('prediction', row.id);
  await pool.query('UPDATE events SET body = NULL WHERE prediction = $1', [row.id]);
  expect(eventBody((await eventsOf('prediction', row.id))[0] as StoredEvent, PUBLIC_URL)).toBe(event?.body);
});

test('an event of an endpoint has its bytes too', async () => {
  const endpoint = { id: '0197c7f0-0000-7003-8000-00000000000e', url: 'https://receiver.example/hook' };
  const type = 'webhook_endpoint.disabled';
  await insertEndpointEvent(
    pool,
    { tenant: 'default', endpoint, type, more: { reason: 'gone', detail: odd }, publicUrl: PUBLIC_URL },
    1_767_225_602_040,
  );
  const [event] = await eventsOf('type', type);
  expect(event?.body).toBe(eventBody({ ...(event as StoredEvent), body: null }, PUBLIC_URL));
});

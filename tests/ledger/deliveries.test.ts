import { insertPromises, markRetried, recordTerminal } from '@millrace/shared/ledger/ledger';
import { createPool, type Pool } from '@millrace/shared/postgres/db';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { useTestDatabase } from '../support/test-database.ts';
import { promiseRow, terminalRow } from './rows.ts';

const database = useTestDatabase();
let pool: Pool;
beforeAll(() => {
  pool = createPool({ databaseUrl: database.url, max: 10, statementTimeoutMs: 10_000, applicationName: 'deliveries' });
});
afterAll(() => pool.end());
beforeEach(async () => {
  await pool.query('TRUNCATE predictions, webhook_endpoints, events, event_counters, webhook_deliveries');
});

const url = 'https://receiver.example/hook';
const webhook = (events?: string[]) => ({ webhook: { url, ...(events ? { events } : {}) } });

async function endpoint(given: { tenant?: string; models?: string[]; events?: string[]; state?: string } = {}) {
  const { tenant = 'default', models = [], events = [], state = 'enabled' } = given;
  const { rows } = await pool.query(
    'INSERT INTO webhook_endpoints (tenant, url, models, events, state) VALUES ($1, $2, $3, $4, $5) RETURNING id',
    [tenant, 'https://endpoint.example/', models, events, state],
  );
  return rows[0].id as string;
}

async function events(tenant = 'default') {
  const { rows } = await pool.query(
    'SELECT id, sequence, type, prediction, model FROM events WHERE tenant = $1 ORDER BY sequence',
    [tenant],
  );
  return rows;
}

const deliveryRows = async () => (await pool.query('SELECT * FROM webhook_deliveries ORDER BY id')).rows;

describe('a delivery', () => {
  test('is written and returned with the terminal state of a prediction that has a webhook', async () => {
    const row = terminalRow({ options: webhook() });
    const { deliveries } = await recordTerminal(pool, [row, terminalRow()]);
    const [event] = await events();
    expect(event).toMatchObject({ sequence: 1, type: 'prediction.succeeded', prediction: row.id, model: 'm' });
    expect(deliveries).toEqual([
      {
        id: expect.any(String),
        event: event.id,
        tenant: 'default',
        endpoint: null,
        url,
        type: 'prediction.succeeded',
        prediction: row.id,
      },
    ]);
    expect(await deliveryRows()).toMatchObject([{ id: deliveries[0]!.id, status: 'pending', attempts: 0 }]);
  });

  test('uses the webhook of the promise', async () => {
    const promise = promiseRow({ options: webhook() });
    await insertPromises(pool, [promise]);
    const { deliveries } = await recordTerminal(pool, [terminalRow({ id: promise.id, options: null })]);
    expect(deliveries).toHaveLength(1);
  });

  test.each([
    [['prediction.failed'], 'succeeded', 0],
    [['prediction.failed'], 'failed', 1],
    [['prediction.failed', 'prediction.expired'], 'expired', 1],
    [[], 'canceled', 1],
  ] as const)('is written only for the chosen events: %j, and the status is %s', async (chosen, status, count) => {
    const { deliveries } = await recordTerminal(pool, [terminalRow({ options: webhook([...chosen]), status })]);
    expect(deliveries).toHaveLength(count);
    expect(await events()).toHaveLength(count);
  });

  test('is written for every endpoint of the tenant that subscribes to the model and the event', async () => {
    const all = await endpoint();
    const ofModel = await endpoint({ models: ['m', 'x'] });
    await endpoint({ models: ['x'] });
    await endpoint({ events: ['prediction.failed'] });
    await endpoint({ tenant: 'default', state: 'disabled' });
    const { deliveries } = await recordTerminal(pool, [terminalRow({ options: webhook() })]);
    const byPlace = (a: string | null, b: string | null) => String(a).localeCompare(String(b));
    expect(deliveries.map((each) => each.endpoint).sort(byPlace)).toEqual([all, ofModel, null].sort(byPlace));
    // One event with one id, for any number of receivers.
    expect(new Set(deliveries.map(({ event }) => event)).size).toBe(1);
    expect(await events()).toHaveLength(1);
  });

  test('is written once for repeated records of a state, and again for the end after a retry', async () => {
    const row = terminalRow({ status: 'failed', options: webhook() });
    for (let i = 0; i < 3; i++) await recordTerminal(pool, [row]);
    expect(await deliveryRows()).toHaveLength(1);
    await markRetried(pool, { tenant: 'default', id: row.id, opening: 0, nowMs: Date.now() });
    await recordTerminal(pool, [row, { ...row, status: 'succeeded', attempts: 2, opening: 1 }]);
    expect((await events()).map(({ type }) => type)).toEqual(['prediction.failed', 'prediction.succeeded']);
    expect(await deliveryRows()).toHaveLength(2);
  });
});

describe('the feed', () => {
  test('keeps the events that a disabled endpoint misses', async () => {
    await endpoint({ state: 'disabled' });
    expect(await recordTerminal(pool, [terminalRow()])).toMatchObject({ applied: 1, deliveries: [] });
    expect(await events()).toHaveLength(1);
  });

  test('has no gaps with many recorders, and each tenant has its own sequence', async () => {
    const rows = Array.from({ length: 400 }, (_, i) =>
      terminalRow({ options: webhook(), tenant: i % 4 ? 'default' : 'other' }),
    );
    const batches = Array.from({ length: 40 }, (_, i) => rows.slice(i * 10, i * 10 + 10));
    await Promise.all(batches.map((batch) => recordTerminal(pool, batch)));
    expect((await events()).map(({ sequence }) => sequence)).toEqual(Array.from({ length: 300 }, (_, i) => i + 1));
    expect(await events('other')).toHaveLength(100);
  });

  test('never shows an event before all lower sequence numbers', async () => {
    let done = false;
    let last = 0;
    const reading = (async () => {
      while (!done) {
        const { rows } = await pool.query(
          'SELECT sequence FROM events WHERE tenant = $1 AND sequence > $2 ORDER BY sequence LIMIT 50',
          ['default', last],
        );
        for (const { sequence } of rows) {
          expect(sequence).toBe(last + 1);
          last = sequence;
        }
      }
    })();
    const write = async () => {
      for (let i = 0; i < 20; i++) {
        await recordTerminal(
          pool,
          Array.from({ length: 5 }, () => terminalRow({ options: webhook() })),
        );
      }
    };
    await Promise.all(Array.from({ length: 6 }, write));
    done = true;
    await reading;
    expect((await events()).length).toBe(600);
  });
});

import {
  findPrediction,
  insertPromises,
  markRetried,
  recordTerminal,
  type TerminalRow,
} from '@millrace/shared/ledger/ledger';
import { createPool, type Pool } from '@millrace/shared/postgres/db';
import { isTerminal, type TerminalStatus } from '@millrace/shared/predictions/prediction';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { useTestDatabase } from '../support/test-database.ts';
import { promiseRow, terminalRow } from './rows.ts';

const database = useTestDatabase();
let pool: Pool;
let admin: Pool;
beforeAll(() => {
  const settings = { databaseUrl: database.url, max: 8, statementTimeoutMs: 10_000, onError: () => {} };
  pool = createPool({ ...settings, applicationName: 'states' });
  admin = createPool({ ...settings, max: 1, applicationName: 'states-admin' });
});
afterAll(() => Promise.all([pool.end(), admin.end()]));

const options = { webhook: { url: 'https://receiver.example/' } };

async function countOf(table: 'events' | 'webhook_deliveries', ids: readonly string[]): Promise<number> {
  const { rows } = await admin.query(`SELECT count(*) FROM ${table} WHERE prediction = ANY ($1::uuid[])`, [ids]);
  return rows[0].count;
}

test('for any order of records, repeats, delays and retries, a terminal state stays and each end has one event', async () => {
  const statuses = fc.constantFrom<TerminalStatus>('succeeded', 'failed', 'canceled', 'expired');
  const step = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('end' as const),
        status: statuses,
        ran: fc.boolean(),
        behind: fc.boolean(),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('repeat' as const), which: fc.nat() }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('retry' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('promise' as const) }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 15 }), async (steps) => {
      const promise = promiseRow({ options });
      const recorded: TerminalRow[] = [];
      // The values of the live state: attempts only grow.
      let attempts = 0;
      let clock = promise.createdAt;
      let opening = 0;
      let ends = 0;
      for (const each of steps) {
        const before = await findPrediction(pool, 'default', promise.id);
        const open = before === undefined || !isTerminal(before.status);
        if (each.do === 'promise') await insertPromises(pool, [promise]);
        if (each.do === 'retry') {
          const end = { tenant: 'default', id: promise.id, opening, nowMs: clock };
          const reopened = await markRetried(pool, end);
          expect(reopened !== undefined).toBe(before !== undefined && !open && before.status !== 'succeeded');
          if (reopened) opening += 1;
        }
        if (each.do === 'end' && open) {
          if (each.ran || each.status === 'succeeded') attempts++;
          // The processes have different clocks.
          clock += each.behind ? -10 : 10;
          const row = terminalRow({ ...promise, status: each.status, attempts, opening, completedAt: clock });
          recorded.push(row);
          expect((await recordTerminal(pool, [row])).applied).toBe(1);
          ends++;
        }
        if (each.do === 'repeat' && recorded.length > 0) {
          const { applied } = await recordTerminal(pool, [recorded[each.which % recorded.length]!]);
          expect(applied).toBe(0);
        }
        const after = await findPrediction(pool, 'default', promise.id);
        if (before?.status === 'succeeded') expect(after).toEqual(before);
        if (before && !open && each.do !== 'retry') expect(after).toEqual(before);
      }
      expect(await countOf('events', [promise.id])).toBe(ends);
      expect(await countOf('webhook_deliveries', [promise.id])).toBe(ends);
    }),
    { numRuns: 100 },
  );
});

test("when a recorder's connection is killed at any moment, the recorder repeats, and each end has one event and one delivery", async ({
  signal,
}) => {
  const ids: string[] = [];
  let done = false;
  let killed = 0;
  // Without a bound a slow machine would never end a transaction between two kills.
  const killing = (async () => {
    while (!done && killed < 100) {
      const { rows } = await admin.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND application_name = 'states' AND state = 'active' LIMIT 1`,
      );
      killed += rows.length;
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 10));
    }
  })();
  // A kill is the only reason to repeat a batch: a repeat for every reason would never end.
  const record = async (rows: TerminalRow[]): Promise<void> => {
    for (let attempt = 0; attempt <= 100; attempt++) {
      const failure = await recordTerminal(pool, rows).then(
        () => undefined,
        (error: unknown) => error,
      );
      if (failure === undefined) return;
      if (signal.aborted) throw failure;
    }
    throw new Error('A batch failed more often than its connection was killed.');
  };
  const recorder = async () => {
    for (let batch = 0; batch < 15; batch++) {
      const rows = Array.from({ length: 40 }, () => terminalRow({ options }));
      ids.push(...rows.map(({ id }) => id));
      await record(rows);
    }
  };
  await Promise.all([recorder(), recorder(), recorder()]).finally(() => {
    done = true;
  });
  await killing;
  expect(killed).toBeGreaterThan(0);
  const { rows } = await admin.query('SELECT count(*) FROM predictions WHERE id = ANY ($1::uuid[])', [ids]);
  expect(rows[0].count).toBe(ids.length);
  expect(await countOf('events', ids)).toBe(ids.length);
  expect(await countOf('webhook_deliveries', ids)).toBe(ids.length);
  const { rows: feed } = await admin.query(
    'SELECT count(*), max(sequence) - min(sequence) + 1 AS span FROM events WHERE tenant = $1',
    ['default'],
  );
  expect(feed[0].span).toBe(feed[0].count);
});

/** Tests that every recording worker reports a recorder that does not progress. */
import pg from 'pg';
import { expect, test } from 'vitest';
import { useSmallModels } from '../support/small-models.ts';

const millrace = useSmallModels(['echo'], { RECORDER_LAG_MS: '1000' });

test('/readyz, /healthz and the metrics report a standstill until the ledger has caught up', async () => {
  const [worker] = millrace.workers;
  if (!worker) throw new Error('no worker runs');
  const ready = () => fetch(`${worker.url}/readyz`).then(async (reply) => [reply.status, await reply.json()] as const);
  await expect.poll(async () => (await ready())[0]).toBe(200);
  const client = new pg.Client({ connectionString: millrace.env.DATABASE_URL as string });
  await client.connect();
  await client.query('BEGIN');
  await client.query('LOCK TABLE predictions');
  await millrace.predict('echo', { input: { x: [7, 7] } }, { prefer: 'wait=10' });
  await expect.poll(async () => (await ready())[0]).toBe(503);
  expect((await ready())[1]).toMatchObject({ parts: { recorder: expect.stringContaining('RECORDER_LAG_MS') } });
  const alive = await fetch(`${worker.url}/healthz`);
  expect([alive.status, await alive.json()]).toMatchObject([
    200,
    { recorder: expect.stringContaining('The oldest end') },
  ]);
  expect(await worker.metric('millrace_recorder_lag_seconds')).toBeGreaterThan(1);
  await client.query('ROLLBACK');
  await client.end();
  await expect.poll(async () => (await ready())[0]).toBe(200);
  expect(await worker.metric('millrace_recorder_lag_seconds')).toBe(0);
});

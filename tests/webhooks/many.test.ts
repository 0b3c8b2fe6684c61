/** Tests operations on more deliveries than one statement processes: all deliveries must be affected. */

import { describe, expect, test } from 'vitest';
import { createOverdueSweep } from '../../apps/worker/src/webhooks/overdue-sweep.ts';
import { rawId } from '../support/raw-id.ts';
import { useWebhookApi } from './webhook-api.ts';

const MANY = 2_500;
const api = useWebhookApi();

/** Inserts deliveries that are due in the far future by default. */
async function fill(endpoint: string, status: string, { count = MANY, nextAt = 9_000_000_000_000 } = {}) {
  await api.started.db.query(
    `INSERT INTO webhook_deliveries (id, tenant, event, endpoint, url, type, status, next_at, created_at)
     SELECT millrace_uuid7($5), 'default', gen_random_uuid(), $1, 'https://x.example/', 'prediction.failed', $2,
            CASE WHEN $2 = 'pending' THEN $4::bigint END, $5
       FROM generate_series(1, $3)`,
    [rawId(endpoint), status, count, nextAt, Date.now()],
  );
}

async function countsOf(endpoint: string): Promise<Record<string, number>> {
  const { rows } = await api.started.db.query<{ status: string; count: number }>(
    'SELECT status, count(*)::int AS count FROM webhook_deliveries WHERE endpoint = $1 GROUP BY status',
    [rawId(endpoint)],
  );
  return Object.fromEntries(rows.map(({ status, count }) => [status, count]));
}

const patience = { timeout: 60_000, interval: 100 };

describe('with thousands of deliveries', () => {
  test('all waiting deliveries are canceled when their endpoint is disabled or removed', async () => {
    const [disabled, removed] = [await api.register('/200/disabled'), await api.register('/200/removed')];
    await fill(disabled.id, 'pending');
    await fill(removed.id, 'pending');
    const changed = await api.request('PATCH', `/v1/webhook-endpoints/${disabled.id}`, { status: 'disabled' });
    expect(changed.status).toBe(200);
    expect((await api.request('DELETE', `/v1/webhook-endpoints/${removed.id}`)).status).toBe(204);
    await expect.poll(() => countsOf(disabled.id), patience).toEqual({ canceled: MANY });
    await expect.poll(() => countsOf(removed.id), patience).toEqual({ canceled: MANY });
  });

  test('all waiting deliveries are canceled when a 410 disables their endpoint', async () => {
    const gone = await api.register('/410/many');
    await fill(gone.id, 'pending');
    await api.request('POST', `/v1/webhook-endpoints/${gone.id}/test`);
    await expect.poll(() => countsOf(gone.id), patience).toEqual({ canceled: MANY, failed: 1 });
  });

  test('all failed deliveries of a range are sent again and counted', async () => {
    const again = await api.register('/200/again');
    await fill(again.id, 'failed');
    await fill(again.id, 'delivered', { count: 3 });
    const filter = { created_after: new Date(Date.now() - 60_000).toISOString(), endpoint_id: again.id };
    const { status, body } = await api.request('POST', '/v1/webhook-deliveries/redeliver', { filter });
    expect(status).toBe(202);
    expect(body).toEqual({ matched: MANY, done: MANY, next: null });
    expect(await api.request('POST', '/v1/webhook-deliveries/redeliver', { filter })).toMatchObject({
      body: { matched: 0 },
    });
  });

  test('a range is sent again in steps', async () => {
    const steps = await api.register('/200/steps');
    await fill(steps.id, 'failed', { count: 25 });
    const filter = { endpoint_id: steps.id };
    const seen: [number, number][] = [];
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const body: object = { filter, limit: 10, ...(cursor ? { cursor } : {}) };
      const reply = await api.request('POST', '/v1/webhook-deliveries/redeliver', body);
      seen.push([reply.body.matched, reply.body.done]);
      cursor = reply.body.next;
    }
    expect(seen).toEqual([
      [10, 10],
      [10, 10],
      [5, 5],
    ]);
    const other = { filter: { ...filter, status: 'canceled' }, cursor: 'x' };
    expect((await api.request('POST', '/v1/webhook-deliveries/redeliver', other)).body.code).toBe('invalid_cursor');
    const list = (query: string) =>
      api.request('GET', `/v1/webhook-deliveries?endpoint_id=${steps.id}&limit=100&${query}`);
    const past = new Date(Date.now() - 3_600_000).toISOString();
    expect((await list(`created_after=${past}`)).body.data).toHaveLength(25);
    expect((await list(`created_before=${past}`)).body.data).toHaveLength(0);
    expect((await list('created_after=yesterday')).body.code).toBe('invalid_request');
  });

  test('the deliveries of one lane do not hide another lane from the sweep', async () => {
    const [crowded, lonely] = [await api.register('/200/crowded'), await api.register('/200/lonely')];
    await api.started.webhooks.close();
    await fill(crowded.id, 'pending', { nextAt: 1 });
    await fill(lonely.id, 'pending', { count: 1, nextAt: 2 });
    expect(await createOverdueSweep(api.started.db)(Date.now())).toEqual(
      expect.arrayContaining([rawId(crowded.id), rawId(lonely.id)]),
    );
  });

  test('every lane is swept in turn, and no sweep reads all lanes', async () => {
    await api.started.webhooks.close();
    await api.started.db.query(
      `INSERT INTO webhook_deliveries (id, tenant, event, url, type, status, next_at, created_at)
       SELECT millrace_uuid7($2), 'default', gen_random_uuid(), 'https://x.example/' || n, 'prediction.failed', 'pending', 3, $2
         FROM generate_series(1, $1) n`,
      [MANY, Date.now()],
    );
    const sweep = createOverdueSweep(api.started.db);
    const seen = new Set<string>();
    for (const turn of [1, 2, 3]) {
      const lanes = await sweep(Date.now());
      // A limited number of the longest due lanes, and a limited number of lanes in turn.
      expect(lanes.length, `sweep ${turn}`).toBeLessThanOrEqual(2_000);
      for (const lane of lanes) seen.add(lane);
    }
    expect(seen.size).toBeGreaterThanOrEqual(MANY);
  });
});

/** Cancel and retry by filter, in steps. */

import { createPool } from '@millrace/shared/postgres/db';
import { loadConfig } from '@millrace/shared/process/config';
import { createApiKey } from '@millrace/shared/tenants/api-keys';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type RunningApi, startApi } from '../../apps/api/src/server.ts';
import { useMillrace } from '../support/millrace.ts';

const MODEL = 'drug-interaction-similarity';
const millrace = useMillrace({ models: [MODEL] });
const UNTIL = { timeout: 60_000, interval: 100 };
let small: RunningApi;
let key = '';

beforeAll(async () => {
  // The predictions wait, and are promises: each of them is in the ledger.
  await millrace.stopWorkers('stop');
  await millrace.startWorker({ WORKER_ROLES: 'recorder' });
  const databaseUrl = millrace.config.databaseUrl;
  const db = createPool({ databaseUrl, max: 1, statementTimeoutMs: 10_000, applicationName: 'bulk-test' });
  key = (await createApiKey(db, { tenant: 'acme', name: 'test', expiresAt: null })).key;
  await db.end();
  const env = { ...millrace.env, API_KEYS_REQUIRED: 'true', MAX_QUEUE: '3' };
  small = await startApi(loadConfig(env), pino({ level: 'silent' }));
});
afterAll(() => small?.close(5_000));

let inputs = 0;
const submit = async (count: number, order: string): Promise<string[]> => {
  const replies = await Promise.all(
    Array.from({ length: count }, () => {
      inputs += 1;
      const input = { similarities: [[0.1, 0.2, 0.3, 0.4, inputs / 1_000]] };
      return millrace.predict(MODEL, { input, metadata: { order } });
    }),
  );
  expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([202]));
  return replies.map(({ body }) => body.id);
};
const act = (action: 'cancel' | 'retry', body: unknown) => millrace.request(`/v1/predictions/${action}`, { body });
const statuses = async (order: string): Promise<Record<string, number>> => {
  const counts: Record<string, number> = {};
  for (let path = `/v1/predictions?metadata.order=${order}&limit=100`; path !== ''; ) {
    const { body, headers } = await millrace.request(path);
    for (const { status } of body.data) counts[status] = (counts[status] ?? 0) + 1;
    path = /^<([^>]+)>/.exec(headers.get('link') ?? '')?.[1] ?? '';
  }
  return counts;
};
/** Repeats an action until its last step. */
const whole = async (action: 'cancel' | 'retry', filter: object, limit: number) => {
  const steps: { matched: number; done: number; next: string | null }[] = [];
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const { status, body } = await act(action, { filter, limit, ...(cursor ? { cursor } : {}) });
    expect(status).toBe(202);
    steps.push(body);
    cursor = body.next;
  }
  return steps;
};

describe('an action on the predictions of a filter', () => {
  test('cancels in steps, changes no other prediction, and has nothing to do again', async () => {
    await submit(25, 'one');
    await submit(3, 'other');
    const steps = await whole('cancel', { 'metadata.order': 'one', model: MODEL }, 10);
    expect(steps.map(({ matched, done }) => [matched, done])).toEqual([
      [10, 10],
      [10, 10],
      [5, 5],
    ]);
    await vi.waitFor(async () => expect(await statuses('one')).toEqual({ canceled: 25 }), UNTIL);
    expect(await statuses('other')).toEqual({ queued: 3 });
    expect((await act('cancel', { filter: { 'metadata.order': 'one' } })).body).toEqual({
      matched: 0,
      done: 0,
      next: null,
    });
  });

  test('selects by id, version and status', async () => {
    const [first, second, third] = await submit(3, 'selected');
    const version = (await millrace.request(`/v1/predictions/${first}`)).body.version;
    expect((await act('cancel', { filter: { id: `${first},${second}`, version: 'none' } })).body.matched).toBe(0);
    expect((await act('cancel', { filter: { id: `${first},${second}`, version } })).body.done).toBe(2);
    expect((await act('cancel', { filter: { id: third, status: 'running' } })).body.matched).toBe(0);
    await vi.waitFor(async () => expect(await statuses('selected')).toEqual({ canceled: 2, queued: 1 }), UNTIL);
    const list = await millrace.request(`/v1/predictions?id=${second},${third}&version=${version}&order=asc`);
    expect(list.body.data.map(({ id }: { id: string }) => id).sort()).toEqual([second, third].sort());
    expect((await millrace.request(`/v1/predictions?version=none&model=${MODEL}`)).body.data).toEqual([]);
  });

  /** The ends of the predictions are in the ledger, where a filter by their status finds them. */
  const recorded = (order: string, count: number) =>
    vi.waitFor(async () => {
      const { body } = await millrace.request(`/v1/predictions?metadata.order=${order}&status=canceled&limit=100`);
      expect(body.data).toHaveLength(count);
    }, UNTIL);

  test('runs canceled predictions again only if the filter names the status', async () => {
    await submit(12, 'again');
    await whole('cancel', { 'metadata.order': 'again' }, 1_000);
    await recorded('again', 12);
    expect(await whole('retry', { 'metadata.order': 'again' }, 5)).toEqual([{ matched: 0, done: 0, next: null }]);
    const steps = await whole('retry', { 'metadata.order': 'again', status: 'canceled' }, 5);
    expect(steps.reduce((sum, { done }) => sum + done, 0)).toBe(12);
    expect(await statuses('again')).toEqual({ queued: 12 });
  });

  test('repeats nothing for a repeated request with an Idempotency-Key', async () => {
    await submit(4, 'keyed');
    const headers = { 'idempotency-key': 'bulk-1' };
    const body = { filter: { 'metadata.order': 'keyed' }, limit: 3 };
    const first = await millrace.request('/v1/predictions/cancel', { body, headers });
    const again = await millrace.request('/v1/predictions/cancel', { body, headers });
    expect(first.body).toMatchObject({ matched: 3, done: 3 });
    expect([again.body, again.headers.get('idempotent-replayed')]).toEqual([first.body, 'true']);
    await vi.waitFor(async () => expect(await statuses('keyed')).toEqual({ canceled: 3, queued: 1 }), UNTIL);
  });

  test('ends a step where the queue is full, and continues there', { timeout: 180_000 }, async () => {
    const send = (path: string, body: unknown) =>
      fetch(small.url + path, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    // The predictions of other tests wait too, and the queue of the small API is full.
    const filter = { status: 'canceled' };
    const refused = await send('/v1/predictions/retry', { filter });
    expect([refused.status, await refused.json()]).toEqual([202, { matched: 0, done: 0, next: null }]);
    await whole('cancel', { model: MODEL }, 1_000);
    const ids: string[] = [];
    for (let n = 0; n < 3; n += 1) {
      inputs += 1;
      const input = { similarities: [[0.1, 0.2, 0.3, 0.4, inputs / 1_000]] };
      await vi.waitFor(async () => {
        const reply = await send(`/v1/models/${MODEL}/predictions`, { input, metadata: { order: 'full' } });
        const body = (await reply.json()) as { id: string };
        expect(reply.status).toBe(202);
        ids.push(body.id);
      }, UNTIL);
    }
    expect(await (await send('/v1/predictions/cancel', { filter: { model: MODEL } })).json()).toMatchObject({
      done: 3,
    });
    await submit(3, 'blocks');
    await vi.waitFor(async () => {
      const reply = await send('/v1/predictions/retry', { filter });
      expect([reply.status, reply.headers.get('retry-after')]).toEqual([429, expect.any(String)]);
    }, UNTIL);
    // Another tenant's predictions are out of reach.
    expect(await (await send('/v1/predictions/cancel', { filter: { 'metadata.order': 'blocks' } })).json()).toEqual({
      matched: 0,
      done: 0,
      next: null,
    });
    expect(await statuses('blocks')).toEqual({ queued: 3 });
  });

  test.each([
    ['cancel', {}],
    ['cancel', { filter: {} }],
    ['cancel', { filter: { model: MODEL }, idempotency_key: 'x' }],
    ['cancel', { idempotency_key: 'x', limit: 3 }],
    ['cancel', { filter: { status: 'succeeded' } }],
    ['cancel', { filter: { status: 'queued,failed' } }],
    ['cancel', { filter: { tenant: 'acme' } }],
    ['cancel', { filter: { id: 'we_11111111111141118111111111111111' } }],
    ['cancel', { filter: { id: Array.from({ length: 101 }, (_, n) => `pred_${String(n).padStart(32, '0')}`).join() } }],
    ['cancel', { filter: { created_after: 'yesterday' } }],
    ['cancel', { filter: { model: MODEL }, limit: 0 }],
    ['retry', { filter: { status: 'queued' } }],
    ['retry', { filter: {} }],
    ['retry', {}],
  ] as const)('%s of %j is refused', async (action, body) => {
    const reply = await act(action, body);
    expect([reply.status, reply.body.code]).toEqual([400, 'invalid_request']);
  });

  test('refuses the cursor of another filter', async () => {
    await submit(2, 'cursor');
    const { body } = await act('cancel', { filter: { 'metadata.order': 'cursor' }, limit: 1 });
    expect(body.next).not.toBeNull();
    const other = await act('cancel', { filter: { 'metadata.order': 'other' }, cursor: body.next });
    expect(other.body.code).toBe('invalid_cursor');
  });
});

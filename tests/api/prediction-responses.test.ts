/** The responses with a prediction: statuses, headers and members. */
import { randomUUID } from 'node:crypto';
import { connectRedis } from '@millrace/shared/redis/connection';
import { describe, expect, test } from 'vitest';
import { hashOfKey } from '../../apps/api/src/predictions/idempotency-claims.ts';
import { rawId } from '../support/raw-id.ts';
import { holdWorker } from '../support/slow-work.ts';
import { useSmallModels } from '../support/small-models.ts';
import { withoutTimeline } from '../support/without-timeline.ts';

const millrace = useSmallModels(['slow', 'stuck', 'echo'], { WORKER_CONCURRENCY: '1' });

const STATUS = 'millrace-prediction-status';

describe('the status of a prediction', () => {
  test('is in a header of each response with a prediction, and a GET is 200 before the end too', async () => {
    const held = await holdWorker(millrace);
    const made = await millrace.predict('slow', { input: { x: [500_001] } });
    expect([made.status, made.headers.get(STATUS)]).toEqual([202, 'queued']);
    const path = `/v1/predictions/${made.body.id}`;
    const open = await millrace.request(path);
    expect([open.status, open.headers.get(STATUS), open.body.status]).toEqual([200, 'queued', 'queued']);
    expect(Number(open.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(open.headers.get('location')).toBeNull();
    expect(open.headers.get('cache-control')).toBe('private, no-cache');
    const running = await millrace.request(`/v1/predictions/${held.id}`);
    expect([running.status, running.headers.get(STATUS)]).toEqual([200, 'running']);

    const canceled = await millrace.request(`${path}/cancel`, { method: 'POST' });
    expect([canceled.status, canceled.headers.get(STATUS)]).toEqual([200, 'canceled']);
    const retried = await millrace.request(`${path}/retry`, { method: 'POST' });
    expect([retried.status, retried.headers.get(STATUS)]).toEqual([202, 'queued']);
    await held.release();

    const ended = await millrace.request(`${path}?wait=30`);
    expect([ended.status, ended.headers.get(STATUS)]).toEqual([200, 'succeeded']);
    expect(ended.headers.get('retry-after')).toBeNull();
    const etag = ended.headers.get('etag') as string;
    const unchanged = await millrace.request(path, { headers: { 'if-none-match': etag } });
    expect([unchanged.status, unchanged.headers.get(STATUS)]).toEqual([304, 'succeeded']);
  });

  test('shows a failed prediction that its caller waited for', async () => {
    const failed = await millrace.predict('stuck', { input: { x: [10 ** 15] } }, { prefer: 'wait=30' });
    expect([failed.status, failed.headers.get(STATUS), failed.body.status]).toEqual([200, 'failed', 'failed']);
  });

  test('is in the response from the cache', async () => {
    const request = { input: { x: [7, 8] } };
    const computed = await millrace.predict('echo', request, { prefer: 'wait=30' });
    expect(computed.headers.get(STATUS)).toBe('succeeded');
    await expect
      .poll(async () => (await millrace.predict('echo', request)).headers.get('cache-status'))
      .toContain('hit');
    expect((await millrace.predict('echo', request)).headers.get(STATUS)).toBe('succeeded');
  });
});

describe('the result', () => {
  const wait = { prefer: 'wait=30' };
  const get = async (id: string) => withoutTimeline((await millrace.request(`/v1/predictions/${id}`)).body);

  test('of input is output, and the result of inputs is outputs', async () => {
    const [one, list, single] = await Promise.all([
      millrace.predict('echo', { input: { x: [11, 1] } }, wait),
      millrace.predict('echo', { inputs: [{ x: [12, 1] }, { x: [13, 1] }] }, wait),
      millrace.predict('echo', { inputs: [{ x: [14, 1] }] }, wait),
    ]);
    const echoed = (...data: number[]) => ({ y: { data } });
    expect(one.body).toMatchObject({ rows: 1, output: echoed(11, 1), outputs: null });
    expect(list.body).toMatchObject({ rows: 2, output: null, outputs: [echoed(12, 1), echoed(13, 1)] });
    expect(single.body).toMatchObject({ rows: 1, output: null, outputs: [echoed(14, 1)] });
    for (const { body } of [one, list, single]) {
      expect(await get(body.id)).toEqual(body);
      // The ledger has the same prediction.
      await expect.poll(async () => (await listed(body.id))?.status).toBe('succeeded');
      await millrace.forget(body.id);
      expect(await get(body.id)).toEqual(body);
    }
    const all = (await millrace.request('/v1/predictions?limit=100&include=output')).body.data;
    const found = all.find(({ id }: { id: string }) => id === list.body.id);
    expect(found).toMatchObject({ rows: 2, output: null, outputs: [echoed(12, 1), echoed(13, 1)] });
  });

  test('is null in both members before the end, and rows is known at once', async () => {
    const held = await holdWorker(millrace);
    const { body } = await millrace.predict('slow', { inputs: [{ x: [600_001] }, { x: [600_002] }] });
    expect(body).toMatchObject({ status: 'queued', rows: 2, output: null, outputs: null });
    expect(await get(body.id)).toMatchObject({ rows: 2, output: null, outputs: null });
    await millrace.forget(body.id);
    // The promise is in the ledger.
    expect(await get(body.id)).toMatchObject({ status: 'queued', rows: 2, output: null, outputs: null });
    await expect
      .poll(async () => (await millrace.request(`/v1/predictions/${body.id}?wait=5`)).body, { timeout: 60_000 })
      .toMatchObject({ status: 'succeeded', rows: 2, output: null, outputs: [{ y: { data: [600_001] } }, {}] });
    await held.release();
  });

  test('has its measured times under the names of the metrics', async () => {
    const { body } = await millrace.predict('echo', { input: { x: [15, 1] } }, wait);
    expect(Object.keys(body.metrics)).toEqual(['wait_ms', 'run_ms', 'total_ms', 'run_rows']);
    expect(body.metrics.run_rows).toBe(1);
    expect((await millrace.request('/v1/models/echo/versions/1')).body.max_run_rows).toBe(1);
  });
});

async function listed(id: string) {
  const { body } = await millrace.request('/v1/predictions?limit=100');
  return body.data.find((one: { id: string }) => one.id === id);
}

describe('metadata', () => {
  const send = (metadata: unknown) =>
    millrace.predict('echo', { input: { x: [21, 1] }, metadata }, { prefer: 'wait=30' });
  const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, at) => [`k${at}`, 'v']));

  test('are a flat map of strings, which come back unchanged', async () => {
    for (const metadata of [{}, { 'ключ 🔑': 'ü', empty: '' }, many(50), { ['🔑'.repeat(40)]: '🔑'.repeat(500) }]) {
      const { status, body } = await send(metadata);
      expect([status, body.metadata]).toEqual([200, metadata]);
    }
  });

  test.each([
    ['a number', { order: 2 ** 53 }, '/metadata/order', 'metadata.order'],
    ['a boolean', { 'a/b': true }, '/metadata/a~1b', 'metadata.a/b'],
    ['null', { n: null }, '/metadata/n', 'metadata.n'],
    ['an object', { nested: { a: 'b' } }, '/metadata/nested', 'metadata.nested'],
    ['a list', { list: ['a'] }, '/metadata/list', 'metadata.list'],
    ['a long string', { long: 'x'.repeat(501) }, '/metadata/long', 'metadata.long'],
    ['a long key', { ['k'.repeat(41)]: 'v' }, `/metadata/${'k'.repeat(41)}`, `metadata.${'k'.repeat(41)}`],
    ['an empty key', { '': 'v' }, '/metadata/', 'metadata.'],
    ['too many keys', many(51), '/metadata', 'metadata'],
    ['very many keys', many(900), '/metadata', 'metadata'],
  ])('with %s are 422, and the problem names the key', async (_, metadata, pointer, name) => {
    const { status, body } = await send(metadata);
    expect([status, body.code, body.errors[0].pointer]).toEqual([422, 'invalid_metadata', pointer]);
    expect(body.detail).toContain(`${name} is not valid: expected `);
  });
});

describe('a cancellation by Idempotency-Key', () => {
  const cancel = (key: string) =>
    millrace.request('/v1/predictions/cancel', { method: 'POST', body: { idempotency_key: key } });

  test('reaches a waiting prediction whose client has disconnected, and the disconnection alone cancels nothing', async () => {
    const held = await holdWorker(millrace);
    const key = randomUUID();
    const body = { input: { x: [650_001] } };
    const gone = new AbortController();
    const request = { body, headers: { prefer: 'wait=30', 'idempotency-key': key }, signal: gone.signal };
    const waiting = millrace.request('/v1/models/slow/predictions', request).catch((error: Error) => error.name);
    // A second request with the key follows the first, so the first has created its prediction.
    const made = await millrace.predict('slow', body, { 'idempotency-key': key });
    gone.abort();
    expect(await waiting).toBe('AbortError');
    // The end of the wait commits the promise of the prediction, which continues.
    await expect.poll(async () => (await listed(made.body.id))?.status).toBe('queued');
    const canceled = await cancel(`"${key}"`);
    expect([canceled.status, canceled.body.id, canceled.body.status]).toEqual([200, made.body.id, 'canceled']);
    expect((await cancel(key)).text).toBe(canceled.text);
    await held.release();
    expect((await millrace.request(`/v1/predictions/${made.body.id}`)).body.status).toBe('canceled');
  });

  test('is found in the ledger after Redis has lost the key', async () => {
    const held = await holdWorker(millrace);
    const key = randomUUID();
    const made = await millrace.predict('slow', { input: { x: [650_002] } }, { 'idempotency-key': key });
    const redis = connectRedis(millrace.config.redisUrl, 'blocking', { cluster: millrace.config.redisCluster });
    expect(await redis.del(millrace.keys.idempotency('default', hashOfKey(key)))).toBe(1);
    redis.disconnect();
    expect((await cancel(key)).body).toMatchObject({ id: made.body.id, status: 'canceled' });
    await held.release();
  });

  test('of an unused key is 404, and of an ended prediction 409 with its id', async () => {
    const unused = await cancel(randomUUID());
    expect([unused.status, unused.body.code]).toEqual([404, 'prediction_not_found']);
    const key = randomUUID();
    const wait = { prefer: 'wait=30', 'idempotency-key': key };
    const done = await millrace.predict('echo', { input: { x: [31, 1] }, metadata: { a: 'b' } }, wait);
    const refused = await cancel(key);
    expect([refused.status, refused.body.code, refused.body.prediction_id]).toEqual([
      409,
      'prediction_terminal',
      done.body.id,
    ]);
    expect((await cancel('caf\u00e9')).body).toMatchObject({ code: 'invalid_request' });
    const more = { idempotency_key: key, reason: 'x' };
    const closed = await millrace.request('/v1/predictions/cancel', { method: 'POST', body: more });
    expect([closed.status, closed.body.code]).toEqual([400, 'invalid_request']);
  });
});

describe('a problem names its prediction', () => {
  test('where an action is refused, and where a key was used with another request', async () => {
    const key = randomUUID();
    const send = (metadata: object) =>
      millrace.predict('echo', { input: { x: [32, 1] }, metadata }, { prefer: 'wait=30', 'idempotency-key': key });
    const { body } = await send({ a: '1' });
    const id = body.id as string;
    expect((await send({ a: '2' })).body).toMatchObject({ code: 'idempotency_mismatch', prediction_id: id });
    for (const [action, code] of Object.entries({ cancel: 'prediction_terminal', retry: 'prediction_not_terminal' }))
      expect((await millrace.request(`/v1/predictions/${id}/${action}`, { method: 'POST' })).body).toMatchObject({
        code,
        prediction_id: id,
      });
  });
});

describe('the id of a prediction', () => {
  test('has a prefix, and its UUID is valid in each path, as in 0.1.0', async () => {
    const { body, headers } = await millrace.predict('echo', { input: { x: [41, 1] } }, { prefer: 'wait=30' });
    expect(body.id).toMatch(/^pred_[0-9a-f]{32}$/);
    expect(headers.get('etag')).toBe(`"${body.id}"`);
    const uuid = rawId(body.id);
    for (const id of [body.id, uuid]) {
      const read = await millrace.request(`/v1/predictions/${id}`);
      expect([read.status, withoutTimeline(read.body)]).toEqual([200, body]);
      expect((await millrace.request(`/v1/predictions/${id}/events`)).text).toContain(`"id":"${body.id}"`);
      const refusals = { cancel: 'prediction_terminal', retry: 'prediction_not_terminal' };
      for (const [action, code] of Object.entries(refusals)) {
        const refused = await millrace.request(`/v1/predictions/${id}/${action}`, { method: 'POST' });
        expect(refused.body).toMatchObject({ code, prediction_id: body.id });
      }
      expect((await millrace.request(`/v1/webhook-deliveries?prediction_id=${id}`)).status).toBe(200);
    }
  });

  test.each([
    `we_${'0'.repeat(32)}`,
    `pred_${'0'.repeat(31)}`,
    `PRED_${'0'.repeat(32)}`,
    `pred_${'g'.repeat(32)}`,
    `pred_${'0'.repeat(12)}4${'0'.repeat(19)}`,
    'x',
  ])('is unknown in the form %s', async (id) => {
    const { status, body } = await millrace.request(`/v1/predictions/${id}`);
    expect([status, body.code]).toEqual([404, 'prediction_not_found']);
    if (id.startsWith('we_')) expect(body.detail).toContain('is the id of a webhook endpoint');
  });
});

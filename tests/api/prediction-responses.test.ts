/** The responses with a prediction: statuses, headers and members. */
import { afterAll, describe, expect, test } from 'vitest';
import { useMillrace } from '../support/millrace.ts';
import { makeModelFolder } from '../support/model-folder.ts';
import { holdWorker } from '../support/slow-work.ts';

let remove = async () => {};
const millrace = useMillrace(async () => {
  const folder = await makeModelFolder(['slow', 'stuck', 'echo']);
  remove = folder.remove;
  return { modelsDir: folder.dir, models: ['slow', 'stuck', 'echo'], env: { WORKER_CONCURRENCY: '1' } };
});
afterAll(() => remove());

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
  const get = async (id: string) => (await millrace.request(`/v1/predictions/${id}`)).body;

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
    const all = (await millrace.request('/v1/predictions?limit=100&include=output')).body.predictions;
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
      .poll(async () => (await millrace.request(`/v1/predictions/${body.id}?wait=5`)).body, { timeout: 30_000 })
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
  return body.predictions.find((one: { id: string }) => one.id === id);
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

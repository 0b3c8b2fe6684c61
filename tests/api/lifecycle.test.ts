import { describe, expect, test } from 'vitest';
import { holdWorker } from '../support/slow-work.ts';
import { useSmallModels } from '../support/small-models.ts';

const millrace = useSmallModels(['slow', 'stuck'], { WORKER_CONCURRENCY: '1' });

let used = 0;
/** A new input on each call, with a short run time. */
const quick = () => {
  used += 1;
  return { input: { x: [used] } };
};
const get = (id: string, query = '') => millrace.request(`/v1/predictions/${id}${query}`);
const act = (id: string, action: string) => millrace.request(`/v1/predictions/${id}/${action}`, { method: 'POST' });
const statusOf = async (id: string) => (await get(id)).body.status;

// This block comes first: once the queue is measured as slow, the API refuses such short deadlines.
describe('a deadline', () => {
  test('that passes while the prediction is queued makes the prediction expire and ends the wait of its caller', async () => {
    const held = await holdWorker(millrace);
    const wait = { prefer: 'wait=20' };
    const [promised, waited] = await Promise.all([
      millrace.predict('slow', { ...quick(), expires_in: 0.4 }),
      millrace.predict('slow', { ...quick(), expires_in: 0.4 }, wait),
    ]);
    expect([waited.status, waited.body]).toMatchObject([200, { status: 'expired', error: { code: 'expired' } }]);
    const { status, body } = await get(promised.body.id, '?wait=20');
    expect([status, body]).toMatchObject([200, { status: 'expired', error: { code: 'expired' } }]);
    expect(Date.parse(body.completed_at) - Date.parse(body.expires_at)).toBeLessThan(1_000);
    await held.release();
    expect(await statusOf(promised.body.id)).toBe('expired');
  });

  test('that passes while the prediction runs makes the prediction expire', async () => {
    // On a busy machine the deadline can pass before the run starts. Then the loop submits another prediction.
    const runs = async (x: number): Promise<string> => {
      const { body } = await millrace.predict('stuck', { input: { x: [10 ** 15 + x] }, expires_in: 0.3 });
      for (;;) {
        const status = await statusOf(body.id);
        if (status === 'running') return body.id;
        if (status !== 'queued') return runs(x + 1);
      }
    };
    const id = await runs(1);
    expect((await get(id, '?wait=20')).body).toMatchObject({ status: 'expired', error: { code: 'expired' } });
  });
});

describe('cancel', () => {
  test('ends a queued prediction for good', async () => {
    const held = await holdWorker(millrace);
    const { body } = await millrace.predict('slow', quick());
    const canceled = await act(body.id, 'cancel');
    expect(canceled.status).toBe(200);
    expect(canceled.body).toMatchObject({ id: body.id, status: 'canceled', output: null, error: { code: 'canceled' } });
    expect((await act(body.id, 'cancel')).body).toEqual(canceled.body);
    await held.release();
    expect(await statusOf(body.id)).toBe('canceled');
  });

  test('discards the result of a running prediction', async () => {
    const held = await holdWorker(millrace);
    expect(await statusOf(held.id)).toBe('running');
    const canceled = await act(held.id, 'cancel');
    expect(canceled.body).toMatchObject({ status: 'canceled', attempt: 1 });
    const next = await millrace.predict('slow', quick(), { prefer: 'wait=10' });
    expect(next.body.status).toBe('succeeded');
    expect(await statusOf(held.id)).toBe('canceled');
  });

  test('is refused for an ended prediction and for an unknown id', async () => {
    const done = await millrace.predict('slow', quick(), { prefer: 'wait=10' });
    const refused = await act(done.body.id, 'cancel');
    expect([refused.status, refused.body.code]).toEqual([409, 'prediction_terminal']);
    const unknown = await act('01234567-0123-7000-8000-000000000000', 'cancel');
    expect([unknown.status, unknown.body.code]).toEqual([404, 'prediction_not_found']);
    expect((await act('nonsense', 'cancel')).status).toBe(404);
  });

  test('of one prediction leaves the other predictions of its micro-batch', async () => {
    const held = await holdWorker(millrace);
    const three = await Promise.all([quick(), quick(), quick()].map((body) => millrace.predict('slow', body)));
    await act(three[1]?.body.id, 'cancel');
    await held.release();
    const ends = await Promise.all(three.map(({ body }) => get(body.id, '?wait=10')));
    expect(ends.map(({ body }) => body.status)).toEqual(['succeeded', 'canceled', 'succeeded']);
  });
});

describe('retry', () => {
  test('runs a canceled prediction again under the same id, as a new attempt', async () => {
    const held = await holdWorker(millrace);
    const { body } = await millrace.predict('slow', { ...quick(), metadata: { mine: '1' } });
    await act(body.id, 'cancel');
    const retried = await act(body.id, 'retry');
    expect(retried.status).toBe(202);
    expect(retried.headers.get('location')).toBe(`/v1/predictions/${body.id}`);
    expect(retried.body).toMatchObject({ id: body.id, status: 'queued', error: null, metadata: { mine: '1' } });
    expect((await act(body.id, 'retry')).body.code).toBe('prediction_not_terminal');
    await held.release();
    expect((await get(body.id, '?wait=10')).body).toMatchObject({ id: body.id, status: 'succeeded', attempt: 1 });
    expect((await act(body.id, 'retry')).body.code).toBe('prediction_not_terminal');
  });

  test('runs a failed prediction again although it was never promised', async () => {
    const failed = await millrace.predict('stuck', { input: { x: [10 ** 15] } }, { prefer: 'wait=30' });
    expect(failed.body).toMatchObject({ status: 'failed', attempt: 1, error: { code: 'inference_timeout' } });
    const retried = await act(failed.body.id, 'retry');
    expect(retried.status).toBe(202);
    await expect.poll(() => statusOf(failed.body.id)).toBe('running');
    expect((await act(failed.body.id, 'cancel')).body).toMatchObject({ status: 'canceled', attempt: 2 });
  });

  test('runs a prediction again after Redis has lost its live state', async () => {
    const held = await holdWorker(millrace);
    const { body } = await millrace.predict('slow', quick());
    await act(body.id, 'cancel');
    await expect.poll(async () => (await millrace.request('/v1/predictions?status=canceled')).text).toContain(body.id);
    await millrace.forget(body.id);
    expect((await act(body.id, 'retry')).status).toBe(202);
    await held.release();
    expect((await get(body.id, '?wait=10')).body).toMatchObject({ id: body.id, status: 'succeeded', attempt: 1 });
  });
});

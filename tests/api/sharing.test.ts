import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { holdWorker } from '../support/slow-work.ts';
import { useSmallModels } from '../support/small-models.ts';
import { untilCached } from '../support/until-cached.ts';

const millrace = useSmallModels(['slow', 'rows', 'echo'], { WORKER_CONCURRENCY: '1' });

/**
 * Rows that the engines received. A worker counts rows before a run. The outcome is counted after the callers have
 * their results.
 */
const computed = () =>
  Promise.all(millrace.workers.map((worker) => worker.metric('millrace_worker_rows_total'))).then((counts) =>
    counts.reduce((sum, count) => sum + count, 0),
  );
const get = (id: string, query = '') => millrace.request(`/v1/predictions/${id}${query}`);
const times = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, at) => make(at));

// Some of these tests take a second on an idle machine.
describe('identical inputs at the same time', { timeout: 180_000 }, () => {
  test('are computed once, and each request gets the result under its own id', async () => {
    const before = await computed();
    const request = { input: { x: [1_000_001] } };
    const responses = await Promise.all(times(100, () => millrace.predict('slow', request, { prefer: 'wait=60' })));
    expect(new Set(responses.map(({ status, body }) => `${status} ${body.status}`))).toEqual(
      new Set(['200 succeeded']),
    );
    expect(new Set(responses.map(({ body }) => body.id)).size).toBe(100);
    expect(new Set(responses.map(({ body }) => JSON.stringify(body.output))).size).toBe(1);
    expect(responses.filter(({ headers }) => headers.get('cache-status')?.includes('; collapsed'))).toHaveLength(99);
    expect((await computed()) - before).toBe(1);
  });

  test('are computed for the last waiting prediction when all others are canceled', async () => {
    const held = await holdWorker(millrace);
    const request = { input: { x: [2] } };
    const accepted = await Promise.all(times(100, () => millrace.predict('slow', request)));
    const ids = accepted.map(({ body }) => body.id as string);
    const [last, ...others] = [ids.pop() as string, ...ids];
    const canceled = await Promise.all(
      others.map((id) => millrace.request(`/v1/predictions/${id}/cancel`, { method: 'POST' })),
    );
    expect(new Set(canceled.map(({ body }) => body.status))).toEqual(new Set(['canceled']));
    await held.release();
    expect((await get(last, '?wait=60')).body).toMatchObject({ id: last, status: 'succeeded' });
  });

  test('on different routes share one computation', async () => {
    const before = await computed();
    const held = await holdWorker(millrace);
    const x = [77];
    const [one, pinned, list, v2] = await Promise.all([
      millrace.predict('slow', { input: { x } }, { prefer: 'wait=60' }),
      millrace.request('/v1/models/slow/versions/1/predictions', {
        body: { input: { x } },
        headers: { prefer: 'wait=60' },
      }),
      millrace.predict(
        'slow',
        { input: { x: { shape: [1], data: ['77'] } }, metadata: { mine: 'yes' } },
        { prefer: 'wait=60' },
      ),
      millrace.request('/v2/models/slow/infer', {
        body: { inputs: [{ name: 'x', datatype: 'INT64', shape: [1], data: x }] },
      }),
      held.release(),
    ]);
    expect([one, pinned, list].map(({ body }) => body.status)).toEqual(['succeeded', 'succeeded', 'succeeded']);
    expect(v2.body.outputs[0].data).toEqual([77]);
    // Two computations: the prediction that held the worker, and the shared computation.
    expect((await computed()) - before).toBe(2);
  });

  test('are freed when the worker that computes them is killed', async () => {
    const held = await holdWorker(millrace, 30_000_000);
    const request = { input: { x: [30_000_000] } };
    const first = await millrace.predict('slow', request);
    await millrace.request(`/v1/predictions/${held.id}/cancel`, { method: 'POST' });
    await millrace.stopWorkers('kill');
    await millrace.startWorker();
    await expect.poll(async () => (await get(first.body.id)).body.status, { timeout: 60_000 }).toBe('running');
    await millrace.request(`/v1/predictions/${first.body.id}/cancel`, { method: 'POST' });
    await millrace.stopWorkers('kill');
    await millrace.startWorker();
    const next = await millrace.predict('slow', { input: { x: [3] } }, { prefer: 'wait=60' });
    expect(next.body.status).toBe('succeeded');
  });

  test('with high priority raise the priority of the prediction that they wait for', async () => {
    const held = await holdWorker(millrace);
    const request = { input: { x: [600_000] } };
    const low = await millrace.predict('slow', { ...request, priority: 'low' });
    const normal = await millrace.predict('slow', { input: { x: [600_001] }, priority: 'normal' });
    await millrace.predict('slow', { ...request, priority: 'high', metadata: {} });
    await held.release();
    await get(normal.body.id, '?wait=60');
    const [lifted, overtaken] = await Promise.all([get(low.body.id), get(normal.body.id)]);
    expect(lifted.body.status).toBe('succeeded');
    expect(Date.parse(lifted.body.completed_at)).toBeLessThanOrEqual(Date.parse(overtaken.body.completed_at));
  });
});

describe('an Idempotency-Key', () => {
  const send = (key: string, body: unknown = { input: { x: [5, 6] } }, more: Record<string, string> = {}) =>
    millrace.predict('echo', body, { 'idempotency-key': key, ...more });

  /**
   * The API can reply that the first request with the key is still in progress, or that a store did not respond in
   * time. Both responses have a Retry-After, and the client repeats the request.
   */
  async function requestUntilDecided(...request: Parameters<typeof send>): ReturnType<typeof send> {
    for (;;) {
      const response = await send(...request);
      const repeatable = ['idempotency_in_progress', 'store_unavailable'].includes(response.body.code);
      if (!repeatable) return response;
      expect(response.headers.get('retry-after')).not.toBeNull();
    }
  }

  test('creates one prediction for each of 1,000 pairs of racing requests', async () => {
    const ids = new Set<string>();
    for (const round of times(20, (at) => at)) {
      const pairs = await Promise.all(
        times(50, async (at) => {
          const key = `"${randomUUID()}"`;
          const body = { input: { x: [round, at] } };
          return Promise.all([requestUntilDecided(key, body), requestUntilDecided(key, body)]);
        }),
      );
      for (const [one, other] of pairs) {
        for (const { status, text } of [one, other]) expect([200, 202], text).toContain(status);
        expect(one.body.id).toBe(other.body.id);
        ids.add(one.body.id);
      }
    }
    expect(ids.size).toBe(1_000);
    // Ends a test that hangs: the pairs took three minutes on a machine with twenty busy processes for each core.
  }, 280_000);

  test('is the same with and without quotes, for any formatting of the body', async () => {
    const key = randomUUID();
    const first = await send(key, '{"input":{"x":[1,2]},"metadata":{"a":"1","b":"2"},"expires_in":60}');
    const again = await send(
      `"${key}"`,
      '{ "expires_in": 6e1, "metadata" : {"b":"2","a":"\\u0031"}, "input" : {"x":[1,2]} }',
    );
    expect(again.body.id).toBe(first.body.id);
  });

  test('with another body is refused', async () => {
    const key = randomUUID();
    await send(key, { input: { x: [5, 9] }, metadata: { of: 'one' } });
    const other = await send(key, { input: { x: [5, 9] }, metadata: { of: 'another' } });
    expect([other.status, other.body.code]).toEqual([422, 'idempotency_mismatch']);
  });

  test('of a refused request can be used again', async () => {
    const key = randomUUID();
    expect((await send(key, { input: { x: ['no'] } })).status).toBe(422);
    expect((await send(key, { input: { x: [5, 8] } }, { prefer: 'wait=60' })).body.status).toBe('succeeded');
  });

  test.each(['', '""', 'x'.repeat(256), 'caf\u00e9'])('of the form %j is refused', async (key) => {
    expect((await send(key)).body.code).toBe('invalid_header');
  });
});

describe('rows', () => {
  test('that are cached are not computed again, and all rows stay in order', async () => {
    const row = (at: number) => ({ x: [[at, 1]] });
    const known = times(100, row).filter((_, at) => ![3, 50, 99].includes(at));
    const first = await millrace.predict('rows', { inputs: known }, { prefer: 'wait=60' });
    expect(first.body.status).toBe('succeeded');
    const all = { inputs: times(100, row) };
    await untilCached(millrace, 'rows', { inputs: known });
    const response = await millrace.predict('rows', all, { prefer: 'wait=60' });
    expect(response.headers.get('cache-status')).toBe('millrace; fwd=partial; stored');
    expect(response.body.metrics.run_rows).toBe(3);
    expect(response.body.outputs.map(({ y }: { y: { data: number[] } }) => y.data)).toEqual(
      times(100, (at) => [at + 2, 0]),
    );
    const whole = { input: { x: times(100, (at) => [at, 1]) } };
    await untilCached(millrace, 'rows', whole);
    const tensor = await millrace.predict('rows', whole);
    expect(tensor.headers.get('cache-status')).toMatch(/^millrace; hit/);
    expect(tensor.body.output.y.shape).toEqual([100, 2]);
  });
});

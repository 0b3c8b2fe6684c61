/** The calls of the client against a real server. */
import { ApiError, Millrace, type MillraceError, type Prediction, PredictionError } from '@millrace/client';
import { describe, expect, test } from 'vitest';
import { holdWorker } from '../support/slow-work.ts';
import { useSmallModels } from '../support/small-models.ts';

const millrace = useSmallModels(['echo', 'slow'], { INFERENCE_CONCURRENCY: '1' });
const connect = () => new Millrace({ baseUrl: millrace.url });

describe('run', () => {
  test('resolves with the output of the model', async () => {
    const client = connect();
    const output = (data: number[]) => ({ y: { dtype: 'int64', shape: [2], data } });
    expect(await client.run('echo', { x: [1, 2] })).toEqual(output([1, 2]));
    // From the cache.
    expect(await client.run('echo', { x: [1, 2] })).toEqual(output([1, 2]));
    expect(await client.runMany('echo', [{ x: [1, 2] }, { x: [3, 4] }])).toEqual([output([1, 2]), output([3, 4])]);
  });

  test('waits longer than one response, and shows each state', async () => {
    // Longer than the second for which the server holds its first response.
    const held = await holdWorker(millrace, 4_000_000);
    const states: string[] = [];
    const output = await connect().run(
      'slow',
      { x: [3] },
      { onUpdate: ({ status, queue }) => states.push(`${status} ${queue?.position ?? ''}`) },
    );
    expect(output).toBeDefined();
    expect(states.at(0)).toBe('queued 1');
    expect(states.at(-1)).toBe('succeeded ');
    await held.release();
  });

  test('rejects with the error of a prediction that ended without an output, with its id', async () => {
    const client = connect();
    // The first update comes with the first response, for which the server waits a second.
    const held = await holdWorker(millrace, 4_000_000);
    const onUpdate = ({ id, status }: Prediction) => {
      if (status === 'queued') void client.cancel(id);
    };
    const error = await client.run('slow', { x: [4] }, { onUpdate }).catch((thrown: unknown) => thrown);
    await held.release();
    expect(error).toBeInstanceOf(PredictionError);
    const prediction = expect.objectContaining({ status: 'canceled' });
    expect(error).toMatchObject({ code: 'canceled', prediction, predictionId: expect.stringMatching(/^pred_/) });
  });

  test('does not repeat a request whose deadline has passed', async () => {
    const held = await holdWorker(millrace);
    const posts: string[] = [];
    const client = new Millrace({
      baseUrl: millrace.url,
      fetch: (url, init) => {
        if (init?.method === 'POST') posts.push(String(url));
        return fetch(url, init);
      },
    });
    const error = await client.run('slow', { x: [5] }, { expiresIn: 0.1 }).catch((thrown: MillraceError) => thrown);
    // The API refuses the request if its estimate is ready, and otherwise the prediction expires.
    expect(['deadline_unreachable', 'expired']).toContain((error as MillraceError).code);
    expect(posts).toHaveLength(1);
    await held.release();
  });

  test('rejects a refused request with its code, faults and suggestions', async () => {
    const client = connect();
    const refused = await client.run('echo', { x: ['a', 2] }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ApiError);
    expect(refused).toMatchObject({
      name: 'ApiError',
      code: 'invalid_input',
      status: 422,
      retryable: false,
      predictionId: undefined,
    });
    expect((refused as ApiError).errors[0]?.pointer).toBe('/input/x/0');
    await expect(client.run('ecko', {})).rejects.toMatchObject({ code: 'model_not_found', suggestions: ['echo'] });
  });
});

describe('submit', () => {
  test('resolves before the end, and the handle waits, reads and cancels', async () => {
    const client = connect();
    const held = await holdWorker(millrace);
    const handle = await client.submit('slow', { x: [6] }, { metadata: { order: 'A-17' }, priority: 'low' });
    expect(handle.prediction).toMatchObject({
      id: handle.id,
      status: 'queued',
      priority: 'low',
      metadata: { order: 'A-17' },
    });
    expect(await client.cancel(handle.id)).toMatchObject({ status: 'canceled' });
    await expect(handle.wait()).rejects.toMatchObject({ code: 'canceled', predictionId: handle.id });
    const again = await client.retry(handle.id);
    expect(again.id).toBe(handle.id);
    await held.release();
    await again.wait();
    expect(await client.get(handle.id)).toMatchObject({ status: 'succeeded' });
    const states: string[] = [];
    for await (const { status } of client.events(handle.id)) states.push(status);
    expect(states).toEqual(['succeeded']);
  });
});

describe('list', () => {
  test('returns the items of all pages, and the filters reach the API', async () => {
    const client = connect();
    const ids: string[] = [];
    for (const n of [1, 2, 3, 4, 5]) {
      const { id } = await client.submit('echo', { x: [n, n] }, { metadata: { 'of.theList': 'yes' } });
      ids.unshift(id);
    }
    const listed: string[] = [];
    for await (const { id } of client.list({ metadata: { 'of.theList': 'yes' }, limit: 2, createdAfter: new Date(0) }))
      listed.push(id);
    expect(listed).toEqual(ids);
    const page = await client.list({ model: 'echo', limit: 1, status: ['failed', 'canceled'] }).page();
    expect(page).toEqual({ data: [], next: null, has_more: false });
  });
});

describe('models and other routes', () => {
  test('are typed by the OpenAPI document', async () => {
    const client = connect();
    const names: string[] = [];
    for await (const { name } of client.models.list()) names.push(name);
    expect(names).toEqual(['echo', 'slow']);
    expect((await client.models.version('echo', '1')).inputs).toMatchObject([{ name: 'x' }]);
    const model = await client.request('PUT', '/v1/models/{model}/aliases/{alias}', {
      path: { model: 'echo', alias: 'production' },
      body: { version: '1' },
    });
    expect(model.aliases).toEqual({ production: '1' });
    await client.request('DELETE', '/v1/models/{model}/aliases/{alias}', {
      path: { model: 'echo', alias: 'production' },
    });
    expect((await client.request('GET', '/healthz')).status).toBe('ok');
  });
});

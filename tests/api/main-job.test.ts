import pg from 'pg';
import { describe, expect, test, vi } from 'vitest';
import { useMillrace } from '../support/millrace.ts';

const MODEL = 'drug-interaction';
const millrace = useMillrace({ models: [MODEL] });
const pair = (drug_a: string, drug_b: string) => ({ input: { drug_a, drug_b } });

describe('the main job', () => {
  test('a miss returns 202 with a Location, and a waiting GET returns the result', async () => {
    const miss = await millrace.predict(MODEL, pair('Warfarin', 'aspirin'));
    expect(miss.status).toBe(202);
    expect(miss.headers.get('cache-status')).toMatch(/^millrace; fwd=miss; key="[0-9a-f]{8}"$/);
    expect(miss.headers.get('location')).toBe(`/v1/predictions/${miss.body.id}`);
    expect(Number(miss.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(miss.headers.get('ratelimit-policy')).toBe('"queue";q=2000000');
    expect(miss.headers.get('ratelimit')).toBe('"queue";r=1999999');
    expect(miss.body).toMatchObject({ status: 'queued', output: null, error: null, queue: { position: 1 } });

    const response = await millrace.request(`${miss.headers.get('location')}?wait=10`);
    expect(response.status).toBe(200);
    expect(response.body).toMatchObject({ id: miss.body.id, status: 'succeeded', attempt: 1, error: null });
    expect(response.body.output.probability).toBeGreaterThanOrEqual(0);
  });

  test('an equal request is a hit, also with swapped or respelled drugs, and queries no database', async () => {
    await millrace.request('/v1/models');
    await expect
      .poll(async () => (await millrace.predict(MODEL, pair('Warfarin', 'aspirin'))).headers.get('cache-status'))
      .toMatch(/^millrace; hit; ttl=\d+; key="[0-9a-f]{8}"$/);
    const queries = vi.spyOn(pg.Client.prototype, 'query');
    const send = async () => {
      queries.mockClear();
      const hit = await millrace.predict(MODEL, pair('Warfarin', 'aspirin'));
      const swapped = await millrace.predict(MODEL, pair('Acetylsalicylic acid', ' WARFARIN '));
      const list = await millrace.request('/v1/models');
      return { hit, swapped, list, queries: queries.mock.calls.map(([text]) => String(text)) };
    };
    // The recorder, the history and the clock query the database in the background. A query of the requests is there in every try.
    const { hit, swapped, list } = await vi.waitUntil(
      async () => {
        const sent = await send();
        return sent.queries.length === 0 && sent;
      },
      { timeout: 30_000 },
    );
    queries.mockRestore();
    expect(hit.status).toBe(200);
    expect(swapped.headers.get('cache-status')).toMatch(/^millrace; hit; ttl=\d+; key="[0-9a-f]{8}"$/);
    expect(swapped.text).toBe(hit.text);
    expect(Number(hit.headers.get('age'))).toBeGreaterThanOrEqual(0);
    expect(list.body.data.map(({ name }: { name: string }) => name)).toEqual([MODEL]);
  });

  test('a miss that completes within the wait returns 200', async () => {
    const response = await millrace.predict(MODEL, pair('Warfarin', 'Fluconazole'), { prefer: 'wait=10' });
    expect(response.status).toBe(200);
    expect(response.headers.get('preference-applied')).toBe('wait=10');
    expect(response.headers.get('cache-status')).toMatch(/^millrace; fwd=miss; stored; key="[0-9a-f]{8}"$/);
    expect(response.body.output.interaction).toBe(true);
  });

  test('an unknown drug is named with suggestions', async () => {
    const response = await millrace.predict(MODEL, pair('Warfarrin', 'aspirin'));
    expect(response.status).toBe(422);
    expect(response.headers.get('content-type')).toContain('application/problem+json');
    expect(response.body).toMatchObject({ code: 'invalid_input', suggestions: ['Warfarin'] });
    expect(response.body.errors).toMatchObject([{ pointer: '/input/drug_a', got: 'Warfarrin' }]);
  });

  test.each([
    ['a body that is not JSON', '{"input":', 'invalid_json', ''],
    ['a missing field', { input: { drug_a: 'aspirin' } }, 'invalid_request', '/input/drug_b'],
    ['an extra field', { input: { drug_a: 'a', drug_b: 'b', drug_c: 'c' } }, 'invalid_request', '/input/drug_c'],
    ['an extra field beside input', { ...pair('a', 'b'), prioritty: 'low' }, 'invalid_request', '/prioritty'],
  ])('%s returns 400 with the position', async (_, body, code, pointer) => {
    const response = await millrace.predict(MODEL, body);
    expect(response.status).toBe(400);
    expect(response.body).toMatchObject({ code, errors: [{ pointer }] });
    expect(response.body.detail).toContain(` at ${pointer}`);
  });

  test('an unknown model returns 404 with suggestions', async () => {
    const response = await millrace.predict('drug-interactoin', pair('Warfarin', 'aspirin'));
    expect(response.status).toBe(404);
    expect(response.body).toMatchObject({ code: 'model_not_found', suggestions: [MODEL] });
  });

  test('work that a killed worker left behind is done by the next worker', async () => {
    await millrace.stopWorkers('kill');
    const drugs = ['ibuprofen', 'simvastatin', 'omeprazole'];
    const promised = await Promise.all(drugs.map((drug) => millrace.predict(MODEL, pair('Warfarin', drug))));
    expect(promised.map(({ status }) => status)).toEqual(drugs.map(() => 202));
    await millrace.startWorker();
    const responses = await Promise.all(
      promised.map(({ body }) => millrace.request(`/v1/predictions/${body.id}?wait=15`)),
    );
    expect(responses.map(({ body }) => body.status)).toEqual(drugs.map(() => 'succeeded'));
  });
});

import { ERRORS } from '@millrace/shared/error-table';
import { describe, expect, test } from 'vitest';
import { useMillrace } from '../support/millrace.ts';

const MODEL = 'drug-interaction';
const millrace = useMillrace({ models: [MODEL] });
const pathWith = (path: string): string =>
  path
    .replaceAll('{model}', MODEL)
    .replaceAll('{version}', '1')
    .replaceAll('{alias}', 'production')
    .replaceAll('{id}', '00000000-0000-7000-8000-000000000000');
// biome-ignore lint/suspicious/noExplicitAny: the tests read single members of an OpenAPI document.
const load = async (): Promise<any> => (await millrace.request('/openapi.json')).body;

describe('the OpenAPI document', () => {
  test('has examples that the API accepts', async () => {
    const { paths } = await load();
    // Of another resource than a model: the route has then validated the body.
    const unknown = ['prediction_not_found', 'endpoint_not_found', 'delivery_not_found'];
    // The example before has set the alias, which protects the version of the other examples from its retirement.
    const protectedBy = (id: string) => (id === 'retireVersion' ? ['alias_conflict'] : []);
    // This server has no model for texts: the routes of other protocols have then read the body.
    const noTextModel = /There is no model with|has no (embedding|ranking)|There is no model 'minilm'/;
    let sent = 0;
    for (const [path, methods] of Object.entries<object>(paths)) {
      // biome-ignore lint/suspicious/noExplicitAny: the test reads single members of an operation.
      for (const [method, operation] of Object.entries<any>(methods)) {
        const { examples = {} } = operation.requestBody?.content['application/json'] ?? {};
        for (const [name, { value }] of Object.entries<{ value: unknown }>(examples)) {
          const { status, body } = await millrace.request(pathWith(path), {
            method: method.toUpperCase(),
            body: value,
          });
          const isAccepted =
            status < 300 ||
            [...unknown, ...protectedBy(operation.operationId)].includes(body.code) ||
            noTextModel.test(JSON.stringify(body.error ?? ''));
          expect([operation.operationId, name, isAccepted ? 'accepted' : body]).toEqual([
            operation.operationId,
            name,
            'accepted',
          ]);
          sent += 1;
        }
      }
    }
    expect(sent).toBeGreaterThan(20);
  });

  test('has an example of a prediction for each form of a request', async () => {
    const { paths } = await load();
    const { examples } = paths['/v1/models/{model}/predictions'].post.requestBody.content['application/json'];
    for (const { value } of Object.values<{ value: unknown }>(examples)) {
      const response = await millrace.predict(MODEL, value, { prefer: 'wait=10' });
      expect([response.status, response.body.status]).toEqual([200, 'succeeded']);
    }
    const path = `/v1/models/${MODEL}/aliases/production`;
    expect((await millrace.request(path, { method: 'DELETE' })).status).toBe(204);
  });

  test('names every error that a route can return', async () => {
    const text = JSON.stringify((await load()).paths);
    // These codes appear only as the `error` of a prediction or in responses that no operation of this document
    // describes.
    const elsewhere = ['inference_failed', 'inference_timeout', 'worker_lost', 'expired', 'canceled'];
    const others = [...elsewhere, 'unauthorized', 'digest_mismatch', 'method_not_allowed'];
    const missing = Object.keys(ERRORS).filter((code) => !text.includes(`"${code}"`) && !others.includes(code));
    expect(missing).toEqual([]);
  });

  test('has a unique operation id for each operation', async () => {
    const { paths } = await load();
    const ids = Object.values<object>(paths).flatMap((path) =>
      Object.values<{ operationId: string }>(path as never).map(({ operationId }) => operationId),
    );
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.length).toBeGreaterThan(30);
  });

  test('is shown on a page without external resources', async () => {
    const page = await millrace.request('/docs');
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(page.text).toContain('createPrediction');
    expect(page.text).not.toMatch(/<script|https?:\/\/(?!example\.com)/);
  });
});

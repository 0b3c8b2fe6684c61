import { describe, expect, test } from 'vitest';
import { useSmallModels } from '../support/small-models.ts';

const millrace = useSmallModels(['echo']);

const PATH = '/v1/models/echo/predictions';

describe('an error names the place, the expected value and the received value of a request', () => {
  test('without a body', async () => {
    const { status, body } = await millrace.request(PATH, { method: 'POST' });
    expect([status, body.errors]).toMatchObject([400, [{ in: 'body', pointer: '', got: 'null, or no body' }]]);
  });

  test('with a content type other than JSON', async () => {
    const { body } = await millrace.predict('echo', 'a=b', { 'content-type': 'text/csv' });
    expect(body.errors).toMatchObject([
      { in: 'header', name: 'Content-Type', expected: 'application/json', got: 'text/csv' },
    ]);
  });

  test('with bytes that are not UTF-8', async () => {
    const body = Buffer.concat([Buffer.from('{"input":"'), Buffer.from([0xff]), Buffer.from('"}')]);
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(millrace.url + PATH, { method: 'POST', headers, body });
    expect([response.status, await response.json()]).toMatchObject([400, { code: 'invalid_json' }]);
  });

  test('with invalid query parameters, by their names', async () => {
    const { body } = await millrace.request('/v1/predictions?limit=0&order=newest&foo=1');
    expect(new Set(body.errors)).toEqual(
      new Set([
        expect.objectContaining({
          in: 'query',
          name: 'foo',
          expected: expect.stringMatching(/^only model, version, status, .*, include$/),
        }),
        expect.objectContaining({ in: 'query', name: 'limit', expected: 'a whole number from 1', got: '0' }),
        expect.objectContaining({ in: 'query', name: 'order', expected: 'one of "desc", "asc"' }),
      ]),
    );
  });

  test('with numbers and lists outside their limits', async () => {
    const { body } = await millrace.predict('echo', { inputs: [], expires_in: 0 });
    expect(body.errors).toMatchObject([
      { in: 'body', pointer: '/inputs', expected: 'an array of 1 or more items', got: 'an array of 0' },
      { pointer: '/expires_in', expected: 'a number above 0, at most 604800', got: '0' },
    ]);
  });
});

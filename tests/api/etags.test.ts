/** Entity tags of single resources, and changes with a condition. */
import { describe, expect, test } from 'vitest';
import { useMillrace } from '../support/millrace.ts';

const MODEL = 'drug-interaction';
const millrace = useMillrace({ models: [MODEL] });
const get = (path: string, headers: Record<string, string> = {}) => millrace.request(path, { headers });
const tagOf = async (path: string): Promise<string> => (await get(path)).headers.get('etag') as string;
const change = (method: string, path: string, { body, ...headers }: Record<string, unknown> = {}) =>
  millrace.request(path, { method, body: body ?? undefined, headers: headers as Record<string, string> });
const register = async (): Promise<string> => {
  const { body } = await millrace.request('/v1/webhook-endpoints', { body: { url: 'https://hooks.example.com/a' } });
  return `/v1/webhook-endpoints/${body.id}`;
};
const ALIAS = `/v1/models/${MODEL}/aliases/canary`;

describe('a read', () => {
  test('has an ETag that stays while the resource is unchanged, and 304 for a client that has the resource', async () => {
    const endpoint = await register();
    // On an endpoint of its own: the delivery fails, and the endpoint of a failed delivery changes.
    const { body: delivery } = await millrace.request(`${await register()}/test`, { method: 'POST' });
    await change('PUT', ALIAS, { body: { version: '1' } });
    const paths = [
      endpoint,
      ALIAS,
      `/v1/models/${MODEL}`,
      `/v1/models/${MODEL}/versions/1`,
      `/v1/models/${MODEL}/entities/drug/Warfarin`,
      `/v1/models/${MODEL}/versions/1/entities/drug/Warfarin`,
      '/v1/webhook-secret',
    ];
    for (const path of paths) {
      const first = await get(path);
      const etag = first.headers.get('etag') as string;
      expect([path, first.status, etag]).toEqual([path, 200, expect.stringMatching(/^"[\w-]{22}"$/)]);
      for (const header of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
        const again = await get(path, { 'if-none-match': header });
        expect([path, again.status, again.text, again.headers.get('etag')]).toEqual([path, 304, '', etag]);
        expect(again.headers.get('request-id')).not.toBeNull();
      }
      expect((await get(path, { 'if-none-match': '"other"' })).text).toBe(first.text);
    }
    // A delivery changes with its attempts.
    expect((await get(`/v1/webhook-deliveries/${delivery.id}`)).headers.get('etag')).not.toBeNull();
  });

  test('of an unknown alias is 404', async () => {
    const { status, body } = await get(`/v1/models/${MODEL}/aliases/none`);
    expect([status, body.code]).toEqual([404, 'alias_not_found']);
    for (const name of ['constructor', 'toString'])
      expect((await get(`/v1/models/${MODEL}/aliases/${name}`)).body.code).not.toBe('internal');
  });
});

describe('a change of an endpoint', () => {
  test('with the present ETag is made, and returns the next ETag', async () => {
    const path = await register();
    const first = await change('PATCH', path, { body: { description: 'one' }, 'if-match': await tagOf(path) });
    expect([first.status, first.body.description]).toEqual([200, 'one']);
    expect(first.headers.get('etag')).toBe(await tagOf(path));
    const removed = await change('DELETE', path, { 'if-match': first.headers.get('etag') as string });
    expect(removed.status).toBe(204);
  });

  test('with an older ETag is refused, and nothing changes', async () => {
    const path = await register();
    const old = await tagOf(path);
    await change('PATCH', path, { body: { description: 'by another operator' } });
    const present = await tagOf(path);
    for (const header of [old, `W/${present}`, '"', 'x', `${old}, W/${present}`]) {
      const patched = await change('PATCH', path, { body: { description: 'mine' }, 'if-match': header });
      expect([header, patched.status, patched.body.code]).toEqual([header, 412, 'precondition_failed']);
      expect(patched.body.errors).toMatchObject([{ in: 'header', name: 'If-Match', expected: present }]);
      expect((await change('DELETE', path, { 'if-match': header })).status).toBe(412);
    }
    expect((await get(path)).body.description).toBe('by another operator');
    expect((await change('PATCH', path, { body: { description: 'mine' }, 'if-match': '*' })).status).toBe(200);
    expect((await change('PATCH', path, { body: { description: 'any' } })).status).toBe(200);
  });

  test('is made by one of several operators who read the same endpoint', async () => {
    const path = await register();
    const etag = await tagOf(path);
    const patches = Array.from({ length: 8 }, (_, at) =>
      change('PATCH', path, { body: { description: `operator ${at}` }, 'if-match': etag }),
    );
    const statuses = (await Promise.all(patches)).map(({ status }) => status);
    expect(statuses.sort()).toEqual([200, ...Array(7).fill(412)]);
  });
});

describe('a change of an alias', () => {
  test('is made only if the alias is as the operator saw it', async () => {
    await change('PUT', ALIAS, { body: { version: '1' } });
    const etag = await tagOf(ALIAS);
    const moved = await change('PUT', ALIAS, { body: { version: '1' }, 'if-match': etag });
    expect([moved.status, moved.headers.get('etag')]).toEqual([200, etag]);
    for (const header of ['"other"', `W/${etag}`]) {
      const refused = await change('PUT', ALIAS, { body: { version: '1' }, 'if-match': header });
      expect([refused.status, refused.body.code]).toEqual([412, 'precondition_failed']);
      expect((await change('DELETE', ALIAS, { 'if-match': header })).status).toBe(412);
    }
    expect((await change('DELETE', ALIAS, { 'if-match': etag })).status).toBe(204);
  });

  test('can demand that the alias is new, or that the alias exists', async () => {
    const path = `/v1/models/${MODEL}/aliases/fresh`;
    expect((await change('PUT', path, { body: { version: '1' }, 'if-match': '*' })).status).toBe(412);
    const created = await Promise.all(
      Array.from({ length: 6 }, () => change('PUT', path, { body: { version: '1' }, 'if-none-match': '*' })),
    );
    expect(created.map(({ status }) => status).sort()).toEqual([200, ...Array(5).fill(412)]);
  });
});

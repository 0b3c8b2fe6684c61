import { Webhook } from 'standardwebhooks';
import { describe, expect, test } from 'vitest';
import { idFor, useWebhookApi } from './webhook-api.ts';

const api = useWebhookApi();
const { request, register } = api;

describe('endpoints', () => {
  test('are registered with a secret that is shown once', async () => {
    const made = await request('POST', '/v1/webhook-endpoints', {
      url: `${api.receiver.url}/200/mine`,
      events: ['prediction.failed'],
      models: ['m'],
      description: 'orders',
    });
    expect(made.status).toBe(201);
    expect(made.headers.location).toBe(`https://millrace.example/v1/webhook-endpoints/${made.body.id}`);
    expect(made.body.secret).toMatch(/^whsec_/);
    const seen = await request('GET', `/v1/webhook-endpoints/${made.body.id}`);
    const { secret: _, ...rest } = made.body;
    expect(seen.body).toEqual(rest);
    expect(seen.body).toMatchObject({
      status: 'enabled',
      events: ['prediction.failed'],
      models: ['m'],
      unknown_models: [],
      description: 'orders',
    });
    const list = await request('GET', '/v1/webhook-endpoints?limit=100');
    expect(JSON.stringify(list.body)).not.toContain('whsec_');
    expect(list.body.data).toContainEqual(rest);
  });

  test('can be changed, disabled, enabled and removed', async () => {
    const { id } = await register('/200/changed');
    const at = `/v1/webhook-endpoints/${id}`;
    const changed = await request('PATCH', at, {
      url: `${api.receiver.url}/200/moved`,
      events: ['prediction.expired'],
    });
    expect(changed.body).toMatchObject({
      url: `${api.receiver.url}/200/moved`,
      events: ['prediction.expired'],
      models: ['none'],
      unknown_models: ['none'],
    });
    expect((await request('PATCH', at, { status: 'disabled' })).body).toMatchObject({
      status: 'disabled',
      reason: 'disabled_by_owner',
      detail: 'The owner has disabled the endpoint.',
      urls: { test: null },
    });
    expect((await request('POST', `${at}/test`)).body.code).toBe('endpoint_disabled');
    expect((await request('PATCH', at, { status: 'enabled' })).body).toMatchObject({ status: 'enabled', reason: null });
    expect((await request('PATCH', at, { events: null, models: null, description: null })).body).toMatchObject({
      events: ['*'],
      models: [],
      description: '',
    });
    expect((await request('DELETE', at)).status).toBe(204);
    for (const [method, url] of [
      ['GET', at],
      ['DELETE', at],
      ['POST', `${at}/test`],
      ['POST', `${at}/secret/rotate`],
    ] as const) {
      expect((await request(method, url)).body).toMatchObject({ status: 404, code: 'endpoint_not_found' });
    }
  });

  test.each([
    [{ url: 5 }, 'invalid_request'],
    [{}, 'invalid_request'],
    [{ url: 'https://a.example/', events: ['prediction.exploded'] }, 'invalid_request'],
    [{ url: 'https://a.example/', events: [] }, 'invalid_request'],
    [{ url: 'https://a.example/', more: 1 }, 'invalid_request'],
    [{ url: 'ftp://127.0.0.1/' }, 'webhook_refused'],
    [{ url: 'nonsense' }, 'webhook_refused'],
    [{ url: 'https://leads-inside.example/' }, 'webhook_refused'],
  ])('are refused: %j', async (body, code) => {
    expect((await request('POST', '/v1/webhook-endpoints', body)).body).toMatchObject({ code });
  });

  test.each(['10.1', '169.254.169.254', '0xa9fea9fe', '[::ffff:a9fe:a9fe]', '[::1]', '0'])(
    'are refused at internal addresses, when created and when changed: %s',
    async (host) => {
      const { id } = await register('/200/inside');
      const url = `https://${host}/`;
      expect((await request('POST', '/v1/webhook-endpoints', { url })).body.code).toBe('webhook_refused');
      expect((await request('PATCH', `/v1/webhook-endpoints/${id}`, { url })).body.code).toBe('webhook_refused');
    },
  );

  test('are visible only to their own tenant', async () => {
    const { id } = await register('/200/private');
    await api.started.db.query(`INSERT INTO tenants (tenant) VALUES ('other') ON CONFLICT DO NOTHING`);
    api.tenant = 'other';
    try {
      expect((await request('GET', `/v1/webhook-endpoints/${id}`)).status).toBe(404);
      expect((await request('PATCH', `/v1/webhook-endpoints/${id}`, { description: 'x' })).status).toBe(404);
      expect((await request('DELETE', `/v1/webhook-endpoints/${id}`)).status).toBe(404);
      expect((await request('POST', `/v1/webhook-endpoints/${id}/secret/rotate`)).status).toBe(404);
      expect((await request('GET', '/v1/webhook-endpoints')).body).toEqual({ data: [], next: null, has_more: false });
    } finally {
      api.tenant = 'default';
    }
  });

  test('are listed in pages', async () => {
    const made: { id: string; created_at: string }[] = [];
    for (let i = 0; i < 5; i++) made.push(await register(`/200/page-${i}`));
    // Endpoints of the same millisecond are in the order of their ids.
    const place = ({ id, created_at }: (typeof made)[number]) => `${created_at} ${id}`;
    const expected = made.toSorted((a, b) => (place(a) < place(b) ? 1 : -1)).map(({ id }) => id);
    const seen: string[] = [];
    let cursor = '';
    do {
      const { body } = await request('GET', `/v1/webhook-endpoints?limit=2${cursor && `&cursor=${cursor}`}`);
      seen.push(...body.data.map(({ id }: { id: string }) => id));
      cursor = body.next ?? '';
    } while (cursor);
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.filter((id) => expected.includes(id))).toEqual(expected);
    const oldestFirst = (await request('GET', '/v1/webhook-endpoints?limit=100&order=asc')).body.data;
    expect(oldestFirst.map(({ id }: { id: string }) => id)).toEqual(seen.toReversed());
    const { next } = (await request('GET', '/v1/webhook-endpoints?limit=2')).body;
    expect((await request('GET', `/v1/webhook-endpoints?order=asc&cursor=${next}`)).body.code).toBe('invalid_cursor');
    expect((await request('GET', '/v1/webhook-endpoints?cursor=zzz')).body.code).toBe('invalid_cursor');
  });
});

test.each(['test', 'secret/rotate'])('an unknown member of the body of %s is refused', async (action) => {
  const { id } = await register('/200/closed');
  const refused = await request('POST', `/v1/webhook-endpoints/${id}/${action}`, { overlap: 0 });
  expect([refused.status, refused.body.code]).toEqual([400, 'invalid_request']);
});

test('an endpoint for `prediction.*` gets the events of predictions', async () => {
  const { events } = await register('/200/star', { models: ['star'], events: ['prediction.*'] });
  expect(events).toEqual(['prediction.*']);
  await api.started.record({ model: 'star', id: idFor('star') });
  await api.receiver.until('/200/star', 1);
});

describe('secrets', () => {
  test('both sign after a rotation, and only the new secret signs without an overlap', async () => {
    const { id, secret: first } = await register('/200/rotated');
    const rotated = await request('POST', `/v1/webhook-endpoints/${id}/secret/rotate`, { overlap_s: 3_600 });
    const second = rotated.body.secret;
    expect(Date.parse(rotated.body.previous_signs_until_at)).toBeGreaterThan(Date.now() + 3_500_000);
    await request('POST', `/v1/webhook-endpoints/${id}/test`);
    const [both] = await api.receiver.until('/200/rotated', 1);
    for (const secret of [first, second]) new Webhook(secret).verify(both!.body, both!.headers);
    const third = (await request('POST', `/v1/webhook-endpoints/${id}/secret/rotate`, { overlap_s: 0 })).body.secret;
    await request('POST', `/v1/webhook-endpoints/${id}/test`);
    const [, alone] = await api.receiver.until('/200/rotated', 2);
    new Webhook(third).verify(alone!.body, alone!.headers);
    for (const secret of [first, second])
      expect(() => new Webhook(secret).verify(alone!.body, alone!.headers)).toThrow();
  });

  test('of the tenant sign the webhooks of single predictions', async () => {
    expect((await request('GET', '/v1/webhook-secret')).body).toEqual({
      configured: false,
      previous_signs_until_at: null,
    });
    const { secret } = (await request('POST', '/v1/webhook-secret/rotate')).body;
    expect((await request('GET', '/v1/webhook-secret')).body.configured).toBe(true);
    await api.started.record({ options: { webhook: { url: `${api.receiver.url}/200/own` } } });
    const [got] = await api.receiver.until('/200/own', 1);
    new Webhook(secret).verify(got!.body, got!.headers);
  });
});

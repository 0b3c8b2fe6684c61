import { Webhook } from 'standardwebhooks';
import { describe, expect, test } from 'vitest';
import { useWebhookApi } from './webhook-api.ts';

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
    expect(made.headers.location).toBe(`/v1/webhook-endpoints/${made.body.id}`);
    expect(made.body.secret).toMatch(/^whsec_/);
    const seen = await request('GET', `/v1/webhook-endpoints/${made.body.id}`);
    const { secret: _, ...rest } = made.body;
    expect(seen.body).toEqual(rest);
    expect(seen.body).toMatchObject({
      state: 'enabled',
      events: ['prediction.failed'],
      models: ['m'],
      description: 'orders',
    });
    const list = await request('GET', '/v1/webhook-endpoints?limit=100');
    expect(JSON.stringify(list.body)).not.toContain('whsec_');
    expect(list.body.endpoints).toContainEqual(rest);
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
    });
    expect((await request('PATCH', at, { state: 'disabled' })).body).toMatchObject({
      state: 'disabled',
      reason: 'Disabled by the owner.',
    });
    expect((await request('POST', `${at}/test`)).body.code).toBe('conflict');
    expect((await request('PATCH', at, { state: 'enabled' })).body).toMatchObject({ state: 'enabled', reason: null });
    expect((await request('DELETE', at)).status).toBe(204);
    for (const [method, url] of [
      ['GET', at],
      ['DELETE', at],
      ['POST', `${at}/test`],
      ['POST', `${at}/rotate-secret`],
    ] as const) {
      expect((await request(method, url)).body).toMatchObject({ status: 404, code: 'endpoint_not_found' });
    }
  });

  test.each([
    [{ url: 5 }, 'invalid_request'],
    [{}, 'invalid_request'],
    [{ url: 'https://a.example/', events: ['prediction.exploded'] }, 'invalid_request'],
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
      expect((await request('POST', `/v1/webhook-endpoints/${id}/rotate-secret`)).status).toBe(404);
      expect((await request('GET', '/v1/webhook-endpoints')).body).toEqual({ endpoints: [], next: null });
    } finally {
      api.tenant = 'default';
    }
  });

  test('are listed in pages', async () => {
    for (let i = 0; i < 5; i++) await register(`/200/page-${i}`);
    const seen: string[] = [];
    let cursor = '';
    do {
      const { body } = await request('GET', `/v1/webhook-endpoints?limit=2${cursor && `&cursor=${cursor}`}`);
      seen.push(...body.endpoints.map(({ id }: { id: string }) => id));
      cursor = body.next ?? '';
    } while (cursor);
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.length).toBeGreaterThanOrEqual(5);
    expect((await request('GET', '/v1/webhook-endpoints?cursor=zzz')).body.code).toBe('invalid_cursor');
  });
});

describe('secrets', () => {
  test('both sign after a rotation, and only the new secret signs without an overlap', async () => {
    const { id, secret: first } = await register('/200/rotated');
    const rotated = await request('POST', `/v1/webhook-endpoints/${id}/rotate-secret?overlap=3600`);
    const second = rotated.body.secret;
    expect(Date.parse(rotated.body.previous_signs_until)).toBeGreaterThan(Date.now() + 3_500_000);
    await request('POST', `/v1/webhook-endpoints/${id}/test`);
    const [both] = await api.receiver.until('/200/rotated', 1);
    for (const secret of [first, second]) new Webhook(secret).verify(both!.body, both!.headers);
    const third = (await request('POST', `/v1/webhook-endpoints/${id}/rotate-secret?overlap=0`)).body.secret;
    await request('POST', `/v1/webhook-endpoints/${id}/test`);
    const [, alone] = await api.receiver.until('/200/rotated', 2);
    new Webhook(third).verify(alone!.body, alone!.headers);
    for (const secret of [first, second])
      expect(() => new Webhook(secret).verify(alone!.body, alone!.headers)).toThrow();
  });

  test('of the tenant sign the webhooks of single predictions', async () => {
    const { secret } = (await request('POST', '/v1/webhook-secret/rotate')).body;
    await api.started.record({ options: { webhook: { url: `${api.receiver.url}/200/own` } } });
    const [got] = await api.receiver.until('/200/own', 1);
    new Webhook(secret).verify(got!.body, got!.headers);
  });
});

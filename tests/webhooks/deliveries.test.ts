import { publicId } from '@millrace/shared/predictions/public-ids';
import { Webhook } from 'standardwebhooks';
import { describe, expect, test } from 'vitest';
import { idFor, useWebhookApi } from './webhook-api.ts';

const api = useWebhookApi();
const { request, register, deliveredTo } = api;

describe('deliveries', () => {
  test('to an address that is both in the request and registered are sent once, with the secret of the endpoint', async () => {
    const endpoint = await register('/200/both', { models: ['both'] });
    const url = `${api.receiver.url}/200/both`;
    const [row] = await api.started.record({ model: 'both', id: idFor('both'), options: { webhook: { url } } });
    const [got] = await api.receiver.until('/200/both', 1);
    new Webhook(endpoint.secret).verify(got!.body, got!.headers);
    const { body } = await request('GET', `/v1/webhook-deliveries?prediction_id=${row!.id}`);
    expect(body.data).toMatchObject([{ endpoint_id: endpoint.id }]);
  });

  test('show each attempt, and are sent again on request under the same id', async () => {
    const endpoint = await register('/500/again', { models: ['again'] });
    const [row] = await api.started.record({ model: 'again', id: idFor('again') });
    await deliveredTo(endpoint.id, 1);
    const list = await request(
      'GET',
      `/v1/webhook-deliveries?endpoint_id=${endpoint.id}&status=pending&prediction_id=${row!.id}`,
    );
    expect(list.body.data).toMatchObject([
      {
        endpoint_id: endpoint.id,
        prediction_id: publicId('pred', row!.id),
        status: 'pending',
        event: { type: 'prediction.succeeded' },
        attempts: [{ number: 1, http_status: 500, error: null, reply: 'replied 500', latency_ms: expect.any(Number) }],
      },
    ]);
    const [delivery] = list.body.data;
    api.receiver.script('/500/again', 200);
    const again = await request('POST', delivery.urls.redeliver);
    expect(again.status).toBe(202);
    await deliveredTo(endpoint.id, 2);
    const seen = await request('GET', delivery.urls.self);
    expect(seen.body).toMatchObject({
      status: 'delivered',
      attempts: [{ http_status: 500 }, { http_status: 200 }],
      next_attempt_at: null,
    });
    const ids = api.receiver.at('/500/again').map(({ headers }) => headers['webhook-id']);
    expect(new Set(ids)).toEqual(new Set([delivery.event.id]));
  });

  test('that failed in a range of time are all sent again, and others are not', async () => {
    const endpoint = await register('/410/range', { models: ['range'] });
    const from = new Date(Date.now() - 1).toISOString();
    await api.started.record(...Array.from({ length: 12 }, () => ({ model: 'range', id: idFor('range') })));
    await expect
      .poll(
        async () =>
          (await request('GET', `/v1/webhook-deliveries?endpoint_id=${endpoint.id}&status=pending`)).body.data.length,
      )
      .toBe(0);
    expect((await request('GET', `/v1/webhook-endpoints/${endpoint.id}`)).body).toMatchObject({
      status: 'disabled',
      reason: 'gone',
      detail: 'The endpoint returned 410 Gone.',
    });
    const range = { filter: { created_after: from, endpoint_id: endpoint.id } };
    expect((await request('POST', '/v1/webhook-deliveries/redeliver', range)).body).toEqual({
      matched: 0,
      done: 0,
      next: null,
    });
    await request('PATCH', `/v1/webhook-endpoints/${endpoint.id}`, {
      status: 'enabled',
      url: `${api.receiver.url}/200/range`,
    });
    const later = { filter: { ...range.filter, created_after: new Date(Date.now() + 1_000).toISOString() } };
    expect((await request('POST', '/v1/webhook-deliveries/redeliver', later)).body).toEqual({
      matched: 0,
      done: 0,
      next: null,
    });
    expect((await request('POST', '/v1/webhook-deliveries/redeliver', range)).body).toEqual({
      matched: 12,
      done: 12,
      next: null,
    });
    const got = await api.receiver.until('/200/range', 12);
    expect(new Set(got.map(({ headers }) => headers['webhook-id'])).size).toBe(12);
  });

  test.each([
    ['GET', '/v1/webhook-deliveries?status=lost', 'invalid_request'],
    ['GET', '/v1/webhook-deliveries?endpoint_id=x', 'invalid_request'],
    ['GET', '/v1/webhook-deliveries?cursor=x', 'invalid_cursor'],
    ['GET', '/v1/webhook-deliveries/x', 'delivery_not_found'],
    ['GET', '/v1/webhook-deliveries/0197c7f0-0000-7003-8000-000000000000', 'delivery_not_found'],
    ['POST', '/v1/webhook-deliveries/x/redeliver', 'delivery_not_found'],
    ['GET', '/v1/events/x', 'not_found'],
    ['GET', '/v1/events/0197c7f0-0000-7003-8000-000000000000', 'not_found'],
    ['GET', '/v1/events?cursor=x', 'invalid_cursor'],
    ['GET', '/v1/events?cursor=999999999', 'invalid_cursor'],
  ] as const)('%s %s is %s', async (method, url, code) => {
    expect((await request(method, url)).body.code).toBe(code);
  });

  test.each([
    [{}],
    [{ created_after: 'yesterday' }],
    [{ created_after: '2026-01-01' }],
    [{ created_after: '2026-01-02T00:00:00Z', created_before: '2026-01-01T00:00:00Z' }],
    [{ created_after: '2026-01-01T00:00:00Z', status: 'delivered' }],
    [{ prediction_id: 'we_11111111111141118111111111111111' }],
    [{ created_after: '2026-01-01T00:00:00Z', endpoint: '11111111-1111-4111-8111-111111111111' }],
  ])('are not sent again for %j', async (filter) => {
    expect((await request('POST', '/v1/webhook-deliveries/redeliver', { filter })).body.code).toBe('invalid_request');
  });

  test('are not sent again for an unknown endpoint', async () => {
    const filter = { created_after: '2026-01-01T00:00:00Z', endpoint_id: '11111111-1111-4111-8111-111111111111' };
    expect((await request('POST', '/v1/webhook-deliveries/redeliver', { filter })).body.code).toBe(
      'endpoint_not_found',
    );
  });
});

describe('the feed', () => {
  test('gives a receiver that was down all missed events, in order and without gaps, during writes', async () => {
    const endpoint = await register('/500/down', { models: ['feed'] });
    const start = (await request('GET', '/v1/events?limit=1000')).body.next;
    const recorded = new Set<string>();
    const writers = Array.from({ length: 4 }, async () => {
      for (let i = 0; i < 20; i++) {
        const rows = await api.started.write(
          ...Array.from({ length: 5 }, () => ({ model: 'feed', id: idFor('feed'), metadata: '{"a":1}' })),
        );
        for (const { id } of rows) recorded.add(publicId('pred', id));
      }
    });
    const seen: { id: string; cursor: string; data: { id: string } }[] = [];
    let cursor = start;
    let written = false;
    void Promise.all(writers).then(() => {
      written = true;
    });
    for (let more = true; more || !written; ) {
      const { body } = await request('GET', `/v1/events?cursor=${cursor}&limit=7`);
      seen.push(...body.data);
      cursor = body.next;
      more = body.data.length > 0;
    }
    const mine = seen.filter(({ data }) => recorded.has(data.id));
    expect(mine).toHaveLength(400);
    const sequence = (cursor: string) => JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8', 4))[0] as number;
    expect(seen.map((event) => sequence(event.cursor))).toEqual(seen.map((_, i) => sequence(start) + 1 + i));
    // The feed has the same content as the webhook, under the same id.
    await api.receiver.until('/500/down', 1);
    const [got] = api.receiver.at('/500/down');
    const { cursor: _, ...body } = seen.find((event) => event.id === got!.headers['webhook-id'])!;
    expect(JSON.parse(got!.body)).toEqual(body);
    // The event has an address of its own, also in another spelling, and for no other tenant.
    expect((await request('GET', `/v1/events/${body.id}`)).body).toEqual(seen.find((event) => event.id === body.id));
    expect((await request('GET', `/v1/events/${body.id.toUpperCase()}`)).status).toBe(200);
    api.tenant = 'other';
    const foreign = await request('GET', `/v1/events/${body.id}`);
    api.tenant = 'default';
    expect([foreign.status, foreign.body.code]).toEqual([404, 'not_found']);
    await request('DELETE', `/v1/webhook-endpoints/${endpoint.id}`);
  });

  test('starts at the first event, and includes test events', async () => {
    const { id } = await register('/200/tested');
    await request('POST', `/v1/webhook-endpoints/${id}/test`);
    const [got] = await api.receiver.until('/200/tested', 1);
    expect(JSON.parse(got!.body)).toMatchObject({
      type: 'webhook_endpoint.test',
      data: {
        id,
        endpoint_url: `${api.receiver.url}/200/tested`,
        url: `https://millrace.example/v1/webhook-endpoints/${id}`,
      },
    });
    const first = await request('GET', '/v1/events?limit=1');
    expect(first.body).toMatchObject({ data: [{ cursor: first.body.next }], has_more: true });
    // A receiver of 0.1.0 has numbers as cursors.
    const second = (await request('GET', `/v1/events?cursor=${first.body.next}&limit=1`)).body;
    expect((await request('GET', '/v1/events?cursor=1&limit=1')).body).toEqual(second);
    const { body } = await request('GET', '/v1/events?limit=1000');
    expect(body.data.map((event: { id: string }) => event.id)).toContain(got!.headers['webhook-id']);
  });
});

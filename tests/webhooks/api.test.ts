import { newPredictionId, shardOf } from '@millrace/shared/ids';
import { createWebhookCheck } from '@millrace/shared/webhooks/target-check';
import Fastify, { type FastifyInstance } from 'fastify';
import { Webhook } from 'standardwebhooks';
import { Value } from 'typebox/value';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sendProblem } from '../../apps/api/src/problems.ts';
import { registerWebhooks } from '../../apps/api/src/routes/webhooks/webhooks.ts';
import { checkerOf } from '../../apps/api/src/schema-faults.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';
import { useTestDatabase } from '../support/test-database.ts';
import { type Started, startWorkerOn } from './started.ts';

const database = useTestDatabase();
let receiver: Receiver;
let started: Started;
let app: FastifyInstance;
let tenant = 'default';

beforeAll(async () => {
  receiver = await startReceiver();
  started = await startWorkerOn(database.url);
  app = Fastify();
  app.setValidatorCompiler(({ schema, httpPart }) => (given) => {
    const value = httpPart === 'body' ? given : Value.Convert(schema as object, given ?? {});
    try {
      checkerOf(schema as object)(value);
      return { value };
    } catch (error) {
      return { error: error as Error };
    }
  });
  app.setErrorHandler((error, request, reply) => sendProblem(error, request, reply));
  const config = { webhookHttp: true, webhookNetworks: ['127.0.0.1/32'] };
  const checkWebhook = createWebhookCheck(config, async () => ['127.0.0.9']);
  registerWebhooks(app, {
    db: started.db,
    timers: started.timers,
    checkWebhook,
    tenantOf: () => tenant,
    publicUrl: 'https://millrace.example',
  });
  await app.ready();
});
afterAll(async () => {
  await app.close();
  await started.close();
  await receiver.close();
});

async function ask(method: 'GET' | 'POST' | 'PATCH' | 'DELETE', url: string, payload?: object) {
  const answer = await app.inject({ method, url, ...(payload ? { payload } : {}) });
  // biome-ignore lint/suspicious/noExplicitAny: what a body holds is what the tests are about.
  return { status: answer.statusCode, headers: answer.headers, body: (answer.body ? answer.json() : undefined) as any };
}
const register = async (path: string, more: object = {}) =>
  (await ask('POST', '/v1/webhook-endpoints', { url: receiver.url + path, models: ['none'], ...more })).body;
const idFor = (model: string) => newPredictionId(shardOf(model), Date.now());
const deliveredTo = (endpoint: string, count: number) => started.until(count, (one) => one.endpoint === endpoint);

describe('endpoints', () => {
  test('are registered, with a secret that is shown this once', async () => {
    const made = await ask('POST', '/v1/webhook-endpoints', {
      url: `${receiver.url}/200/mine`,
      events: ['prediction.failed'],
      models: ['m'],
      description: 'orders',
    });
    expect(made.status).toBe(201);
    expect(made.headers.location).toBe(`/v1/webhook-endpoints/${made.body.id}`);
    expect(made.body.secret).toMatch(/^whsec_/);
    const seen = await ask('GET', `/v1/webhook-endpoints/${made.body.id}`);
    const { secret: _, ...rest } = made.body;
    expect(seen.body).toEqual(rest);
    expect(seen.body).toMatchObject({
      state: 'enabled',
      events: ['prediction.failed'],
      models: ['m'],
      description: 'orders',
    });
    const list = await ask('GET', '/v1/webhook-endpoints?limit=100');
    expect(JSON.stringify(list.body)).not.toContain('whsec_');
    expect(list.body.endpoints).toContainEqual(rest);
  });

  test('are changed, disabled, enabled and removed', async () => {
    const { id } = await register('/200/changed');
    const at = `/v1/webhook-endpoints/${id}`;
    const changed = await ask('PATCH', at, { url: `${receiver.url}/200/moved`, events: ['prediction.expired'] });
    expect(changed.body).toMatchObject({
      url: `${receiver.url}/200/moved`,
      events: ['prediction.expired'],
      models: ['none'],
    });
    expect((await ask('PATCH', at, { state: 'disabled' })).body).toMatchObject({
      state: 'disabled',
      reason: 'By its owner.',
    });
    expect((await ask('POST', `${at}/test`)).body.code).toBe('conflict');
    expect((await ask('PATCH', at, { state: 'enabled' })).body).toMatchObject({ state: 'enabled', reason: null });
    expect((await ask('DELETE', at)).status).toBe(204);
    for (const [method, url] of [
      ['GET', at],
      ['DELETE', at],
      ['POST', `${at}/test`],
      ['POST', `${at}/rotate-secret`],
    ] as const) {
      expect((await ask(method, url)).body).toMatchObject({ status: 404, code: 'endpoint_not_found' });
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
    expect((await ask('POST', '/v1/webhook-endpoints', body)).body).toMatchObject({ code });
  });

  test.each(['10.1', '169.254.169.254', '0xa9fea9fe', '[::ffff:a9fe:a9fe]', '[::1]', '0'])(
    'are refused inside, when made and when changed: %s',
    async (host) => {
      const { id } = await register('/200/inside');
      const url = `https://${host}/`;
      expect((await ask('POST', '/v1/webhook-endpoints', { url })).body.code).toBe('webhook_refused');
      expect((await ask('PATCH', `/v1/webhook-endpoints/${id}`, { url })).body.code).toBe('webhook_refused');
    },
  );

  test('are seen by their own tenant only', async () => {
    const { id } = await register('/200/private');
    await started.db.query(`INSERT INTO tenants (tenant) VALUES ('other') ON CONFLICT DO NOTHING`);
    tenant = 'other';
    try {
      expect((await ask('GET', `/v1/webhook-endpoints/${id}`)).status).toBe(404);
      expect((await ask('PATCH', `/v1/webhook-endpoints/${id}`, { description: 'x' })).status).toBe(404);
      expect((await ask('DELETE', `/v1/webhook-endpoints/${id}`)).status).toBe(404);
      expect((await ask('POST', `/v1/webhook-endpoints/${id}/rotate-secret`)).status).toBe(404);
      expect((await ask('GET', '/v1/webhook-endpoints')).body).toEqual({ endpoints: [], next: null });
    } finally {
      tenant = 'default';
    }
  });

  test('are listed page by page', async () => {
    for (let i = 0; i < 5; i++) await register(`/200/page-${i}`);
    const seen: string[] = [];
    let cursor = '';
    do {
      const { body } = await ask('GET', `/v1/webhook-endpoints?limit=2${cursor && `&cursor=${cursor}`}`);
      seen.push(...body.endpoints.map(({ id }: { id: string }) => id));
      cursor = body.next ?? '';
    } while (cursor);
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.length).toBeGreaterThanOrEqual(5);
    expect((await ask('GET', '/v1/webhook-endpoints?cursor=zzz')).body.code).toBe('invalid_cursor');
  });
});

describe('secrets', () => {
  test('both sign after a rotation, and one when the overlap is none', async () => {
    const { id, secret: first } = await register('/200/rotated');
    const rotated = await ask('POST', `/v1/webhook-endpoints/${id}/rotate-secret?overlap=3600`);
    const second = rotated.body.secret;
    expect(Date.parse(rotated.body.previous_signs_until)).toBeGreaterThan(Date.now() + 3_500_000);
    await ask('POST', `/v1/webhook-endpoints/${id}/test`);
    const [both] = await receiver.until('/200/rotated', 1);
    for (const secret of [first, second]) new Webhook(secret).verify(both!.body, both!.headers);
    const third = (await ask('POST', `/v1/webhook-endpoints/${id}/rotate-secret?overlap=0`)).body.secret;
    await ask('POST', `/v1/webhook-endpoints/${id}/test`);
    const [, alone] = await receiver.until('/200/rotated', 2);
    new Webhook(third).verify(alone!.body, alone!.headers);
    for (const secret of [first, second])
      expect(() => new Webhook(secret).verify(alone!.body, alone!.headers)).toThrow();
  });

  test('of the tenant sign what predictions name themselves', async () => {
    const { secret } = (await ask('POST', '/v1/webhook-secret/rotate')).body;
    await started.record({ options: { webhook: { url: `${receiver.url}/200/own` } } });
    const [got] = await receiver.until('/200/own', 1);
    new Webhook(secret).verify(got!.body, got!.headers);
  });
});

describe('deliveries', () => {
  test('to an address that is both named and registered are made once, with the secret of the endpoint', async () => {
    const endpoint = await register('/200/both', { models: ['both'] });
    const url = `${receiver.url}/200/both`;
    const [row] = await started.record({ model: 'both', id: idFor('both'), options: { webhook: { url } } });
    const [got] = await receiver.until('/200/both', 1);
    new Webhook(endpoint.secret).verify(got!.body, got!.headers);
    const { body } = await ask('GET', `/v1/webhook-deliveries?prediction=${row!.id}`);
    expect(body.deliveries).toMatchObject([{ endpoint: endpoint.id }]);
  });

  test('show each attempt, and are made again by hand under the same id', async () => {
    const endpoint = await register('/500/again', { models: ['again'] });
    const [row] = await started.record({ model: 'again', id: idFor('again') });
    await deliveredTo(endpoint.id, 1);
    const list = await ask(
      'GET',
      `/v1/webhook-deliveries?endpoint=${endpoint.id}&status=pending&prediction=${row!.id}`,
    );
    expect(list.body.deliveries).toMatchObject([
      {
        endpoint: endpoint.id,
        prediction: row!.id,
        status: 'pending',
        event: { type: 'prediction.succeeded' },
        attempts: [{ number: 1, status: 500, error: null, reply: 'answered 500', latency_ms: expect.any(Number) }],
      },
    ]);
    const [delivery] = list.body.deliveries;
    receiver.script('/500/again', 200);
    const again = await ask('POST', delivery.urls.redeliver);
    expect(again.status).toBe(202);
    await deliveredTo(endpoint.id, 2);
    const seen = await ask('GET', delivery.urls.self);
    expect(seen.body).toMatchObject({
      status: 'delivered',
      attempts: [{ status: 500 }, { status: 200 }],
      next_attempt_at: null,
    });
    const ids = receiver.at('/500/again').map(({ headers }) => headers['webhook-id']);
    expect(new Set(ids)).toEqual(new Set([delivery.event.id]));
  });

  test('that failed in a range of time are all made again, others are not', async () => {
    const endpoint = await register('/410/range', { models: ['range'] });
    const from = new Date(Date.now() - 1).toISOString();
    await started.record(...Array.from({ length: 12 }, () => ({ model: 'range', id: idFor('range') })));
    await expect
      .poll(
        async () =>
          (await ask('GET', `/v1/webhook-deliveries?endpoint=${endpoint.id}&status=pending`)).body.deliveries.length,
      )
      .toBe(0);
    expect((await ask('GET', `/v1/webhook-endpoints/${endpoint.id}`)).body).toMatchObject({
      state: 'disabled',
      reason: 'It answered 410 Gone.',
    });
    const range = { from, endpoint: endpoint.id };
    expect((await ask('POST', '/v1/webhook-deliveries/redeliver', range)).body).toEqual({ redelivered: 0 });
    await ask('PATCH', `/v1/webhook-endpoints/${endpoint.id}`, { state: 'enabled', url: `${receiver.url}/200/range` });
    const later = { ...range, from: new Date(Date.now() + 1_000).toISOString() };
    expect((await ask('POST', '/v1/webhook-deliveries/redeliver', later)).body).toEqual({ redelivered: 0 });
    expect((await ask('POST', '/v1/webhook-deliveries/redeliver', range)).body).toEqual({ redelivered: 12 });
    const got = await receiver.until('/200/range', 12);
    expect(new Set(got.map(({ headers }) => headers['webhook-id'])).size).toBe(12);
  });

  test.each([
    ['GET', '/v1/webhook-deliveries?status=lost', 'invalid_request'],
    ['GET', '/v1/webhook-deliveries?endpoint=x', 'invalid_request'],
    ['GET', '/v1/webhook-deliveries?cursor=x', 'invalid_cursor'],
    ['GET', '/v1/webhook-deliveries/x', 'delivery_not_found'],
    ['GET', '/v1/webhook-deliveries/0197c7f0-0000-7003-8000-000000000000', 'delivery_not_found'],
    ['POST', '/v1/webhook-deliveries/x/redeliver', 'delivery_not_found'],
    ['GET', '/v1/events?after=x', 'invalid_cursor'],
  ] as const)('%s %s is %s', async (method, url, code) => {
    expect((await ask(method, url)).body.code).toBe(code);
  });

  test.each([
    [{}],
    [{ from: 'yesterday' }],
    [{ from: '2026-01-01' }],
    [{ from: '2026-01-01T00:00:00Z', status: 'delivered' }],
  ])('are not made again for %j', async (body) => {
    expect((await ask('POST', '/v1/webhook-deliveries/redeliver', body)).body.code).toBe('invalid_request');
  });
});

describe('the feed', () => {
  test('brings a receiver that was down up to date, in order and without gaps, while others write', async () => {
    const endpoint = await register('/500/down', { models: ['feed'] });
    const start = (await ask('GET', '/v1/events?limit=1000')).body.next;
    const recorded = new Set<string>();
    const writers = Array.from({ length: 4 }, async () => {
      for (let i = 0; i < 20; i++) {
        const rows = await started.write(
          ...Array.from({ length: 5 }, () => ({ model: 'feed', id: idFor('feed'), metadata: '{"a":1}' })),
        );
        for (const { id } of rows) recorded.add(id);
      }
    });
    const seen: { id: string; cursor: string; data: { id: string } }[] = [];
    let after = start;
    let written = false;
    void Promise.all(writers).then(() => {
      written = true;
    });
    for (let more = true; more || !written; ) {
      const { body } = await ask('GET', `/v1/events?after=${after}&limit=7`);
      seen.push(...body.events);
      after = body.next;
      more = body.events.length > 0;
    }
    const mine = seen.filter(({ data }) => recorded.has(data.id));
    expect(mine).toHaveLength(400);
    expect(seen.map(({ cursor }) => Number(cursor))).toEqual(seen.map((_, i) => Number(start) + 1 + i));
    // What the feed shows is what the webhook would have carried, under the same id.
    await receiver.until('/500/down', 1);
    const [got] = receiver.at('/500/down');
    const { id, cursor: _, ...body } = seen.find((event) => event.id === got!.headers['webhook-id'])!;
    expect(JSON.parse(got!.body)).toEqual(body);
    await ask('DELETE', `/v1/webhook-endpoints/${endpoint.id}`);
  });

  test('begins where it begins, and tells of tests', async () => {
    const { id } = await register('/200/tested');
    await ask('POST', `/v1/webhook-endpoints/${id}/test`);
    const [got] = await receiver.until('/200/tested', 1);
    expect(JSON.parse(got!.body)).toMatchObject({
      type: 'webhook_endpoint.test',
      data: {
        id,
        endpoint_url: `${receiver.url}/200/tested`,
        url: `https://millrace.example/v1/webhook-endpoints/${id}`,
      },
    });
    const first = await ask('GET', '/v1/events?limit=1');
    expect(first.body).toMatchObject({ events: [{ cursor: '1' }], next: '1', has_more: true });
    const { body } = await ask('GET', '/v1/events?limit=1000');
    expect(body.events.map((event: { id: string }) => event.id)).toContain(got!.headers['webhook-id']);
  });
});

/** The receivers of webhooks for Fastify, Express and node:http, with events of a real server. */
import { once } from 'node:events';
import http, { type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Millrace, verifyWebhook, WebhookError, type WebhookEvent } from '@millrace/client';
import { millraceWebhooks as expressWebhooks } from '@millrace/client/express';
import { millraceWebhooks as fastifyWebhooks } from '@millrace/client/fastify';
import express from 'express';
import fastify from 'fastify';
import { Webhook } from 'standardwebhooks';
import { afterAll, describe, expect, test } from 'vitest';
import { useSmallModels } from '../support/small-models.ts';

const SECRET = `whsec_${Buffer.alloc(24, 7).toString('base64')}`;
const PATH = '/webhooks/millrace';

const millrace = useSmallModels(['echo'], { WEBHOOK_ALLOW_HTTP: 'true', WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8' });
const closing: (() => unknown)[] = [];
afterAll(() => Promise.all(closing.map((close) => close())));

async function listen(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}${PATH}`;
}

/** The options of a receiver, and the events that the receiver got. */
function receiver(options: Partial<Parameters<typeof expressWebhooks>[0]> = {}) {
  const events: WebhookEvent[] = [];
  const waiting: (() => void)[] = [];
  const onEvent = (event: WebhookEvent) => {
    events.push(event);
    for (const wake of waiting.splice(0)) wake();
  };
  const next = async () => {
    while (events.length === 0) await new Promise<void>((resolve) => waiting.push(resolve));
    return events.shift()!;
  };
  return { options: { secret: SECRET, onEvent, ...options }, events, next };
}

type Options = ReturnType<typeof receiver>['options'];

const servers: Record<string, (options: Options) => Promise<string>> = {
  async fastify(options) {
    const app = fastify();
    // A parser of the app must not read the body of the webhook, and the plugin must not change the other routes.
    app.post('/other', async ({ body }) => body);
    await app.register(fastifyWebhooks, options);
    await app.listen({ port: 0, host: '127.0.0.1' });
    closing.push(() => app.close());
    return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}${PATH}`;
  },
  async express(options) {
    const app = express();
    app.post(PATH, expressWebhooks(options));
    app.use(express.json());
    app.post('/other', (request, response) => {
      response.json(request.body);
    });
    app.use((_error: Error, _request: express.Request, response: express.Response, _next: express.NextFunction) => {
      response.status(500).end();
    });
    return listen(http.createServer(app));
  },
  'node:http': (options) => listen(http.createServer(expressWebhooks(options))),
};

interface Message {
  id?: string;
  at?: Date;
  body?: string;
  secret?: string;
}

const EVENT = { id: 'event-1', type: 'prediction.succeeded', data: { id: 'pred_1', status: 'succeeded' } };

function headersOf({ id = 'event-1', at = new Date(), body = JSON.stringify(EVENT), secret = SECRET }: Message = {}) {
  return {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
    'webhook-signature': new Webhook(secret).sign(id, at, body),
  };
}

const send = (url: string, { body = JSON.stringify(EVENT), ...message }: Message = {}) =>
  fetch(url, { method: 'POST', body, headers: headersOf({ body, ...message }) });

describe.each(Object.keys(servers))('the receiver for %s', (name) => {
  test('gets the signed events of a server, and skips an event that it has processed', async () => {
    const client = new Millrace({ baseUrl: millrace.url });
    const secrets: string[] = [SECRET];
    const processed = new Set<string>();
    const { options, next, events } = receiver({ secret: secrets, processed });
    const url = await servers[name]!(options);
    const { id, secret } = await client.request('POST', '/v1/webhook-endpoints', { body: { url } });
    secrets.push(secret);
    await client.request('POST', '/v1/webhook-endpoints/{id}/test', { path: { id } });
    expect(await next()).toMatchObject({ type: 'webhook_endpoint.test', data: { id } });
    const handle = await client.submit(
      'echo',
      { x: [1, Math.floor(Math.random() * 1e9)] },
      { metadata: { order: name } },
    );
    const event = await next();
    expect(event).toMatchObject({
      type: 'prediction.succeeded',
      data: { id: handle.id, status: 'succeeded', metadata: { order: name }, error: null },
    });
    expect(processed.has(event.id)).toBe(true);
    const [delivery] = (await client.webhooks.deliveries({ predictionId: handle.id }).page()).data;
    await client.request('POST', '/v1/webhook-deliveries/{id}/redeliver', { path: { id: delivery!.id } });
    await expect
      .poll(async () => {
        const { data } = await client.webhooks.deliveries({ predictionId: handle.id }).page();
        return data[0]?.attempts.map(({ http_status }) => http_status);
      })
      .toEqual([204, 204]);
    expect(events).toEqual([]);
    await client.request('DELETE', '/v1/webhook-endpoints/{id}', { path: { id } });
  });

  test('refuses other requests, and leaves the other routes alone', async () => {
    const { options, events } = receiver();
    const url = await servers[name]!(options);
    const other = `whsec_${Buffer.alloc(24, 8).toString('base64')}`;
    const statuses = [
      await send(url, { secret: other }),
      await send(url, { at: new Date(Date.now() - 600_000) }),
      await send(url, { at: new Date(Date.now() + 600_000) }),
      await fetch(url, { method: 'POST', body: '{}', headers: headersOf() }),
      await fetch(url, { method: 'POST', body: JSON.stringify(EVENT) }),
      await fetch(url, { method: 'POST' }),
      await send(url, { body: '"text"' }),
      await send(url, { body: '[not json' }),
    ].map(({ status }) => status);
    expect(statuses).toEqual(statuses.map(() => 400));
    expect(
      (await fetch(url, { method: 'POST', body: 'x'.repeat(2_000_000) }).catch(() => ({ status: 413 }))).status,
    ).toBe(413);
    expect(events).toEqual([]);
    expect((await send(url)).status).toBe(204);
    expect(events).toEqual([EVENT]);
    if (name === 'node:http') return;
    const json = { method: 'POST', body: '{"a":1}', headers: { 'content-type': 'application/json' } };
    expect(await (await fetch(new URL('/other', url), json)).json()).toEqual({ a: 1 });
  });

  test('responds with 500 when the function of the event fails, so that the server sends the event again', async () => {
    const processed = new Set<string>();
    let fails = true;
    const { options } = receiver({
      processed,
      on: {
        'prediction.succeeded': ({ data }) => {
          // The type of the event narrows the data.
          if (fails) throw new Error(`${data.status satisfies 'succeeded'}`);
        },
      },
    });
    const url = await servers[name]!(options);
    expect((await send(url)).status).toBe(500);
    fails = false;
    expect((await send(url)).status).toBe(204);
    expect(processed.has('event-1')).toBe(true);
    // Types of a later version, and names that every object has.
    for (const type of ['prediction.paused', 'constructor', '__proto__', 'toString'])
      expect((await send(url, { id: type, body: JSON.stringify({ ...EVENT, id: type, type }) })).status).toBe(204);
  });
});

describe('the receiver for express', () => {
  test('names its place when another parser has read the body', async () => {
    const errors: string[] = [];
    const app = express();
    app.use(express.json());
    app.post(PATH, expressWebhooks({ secret: SECRET }));
    app.use((error: Error, _request: express.Request, response: express.Response, _next: express.NextFunction) => {
      errors.push(error.message);
      response.status(500).end();
    });
    expect((await send(await listen(http.createServer(app)))).status).toBe(500);
    expect(errors).toEqual([expect.stringContaining('Mount millraceWebhooks before express.json()')]);
  });

  test('takes the bytes of express.raw', async () => {
    const { options, events } = receiver();
    const app = express();
    app.post(PATH, express.raw({ type: '*/*' }), expressWebhooks(options));
    expect((await send(await listen(http.createServer(app)))).status).toBe(204);
    expect(events).toEqual([EVENT]);
  });
});

describe('verifyWebhook', () => {
  const body = JSON.stringify(EVENT);
  const headers = headersOf();

  test('takes a Request, the headers of a Request, and headers in any case', async () => {
    const request = new Request('https://receiver.example', { method: 'POST', body, headers });
    expect(await verifyWebhook(request, SECRET)).toEqual(EVENT);
    expect(await verifyWebhook({ headers: new Headers(headers), body }, SECRET)).toEqual(EVENT);
    const upper = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toUpperCase(), value]));
    expect(await verifyWebhook({ headers: upper, body: Buffer.from(body) }, SECRET)).toEqual(EVENT);
    expect(await new Millrace().webhooks.verify({ headers, body }, SECRET)).toEqual(EVENT);
  });

  test('takes each secret and each signature of a rotation', async () => {
    const old = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;
    expect(await verifyWebhook({ headers, body }, [old, SECRET])).toEqual(EVENT);
    const both = `${headersOf({ secret: old })['webhook-signature']} ${headers['webhook-signature']}`;
    expect(await verifyWebhook({ headers: { ...headers, 'webhook-signature': both }, body }, SECRET)).toEqual(EVENT);
  });

  test('refuses a signature of another scheme, of another length and in another encoding', async () => {
    const signature = headers['webhook-signature'];
    const others = [
      signature.replace('v1,', 'v2,'),
      signature.slice(0, -4),
      'v1,',
      'v1',
      '',
      'v1,***',
      `v1a,${signature}`,
    ];
    for (const other of others) {
      const refused = verifyWebhook({ headers: { ...headers, 'webhook-signature': other }, body }, SECRET);
      await expect(refused).rejects.toThrow(WebhookError);
      await expect(refused).rejects.toMatchObject({ code: 'invalid_signature' });
    }
    for (const timestamp of ['', '1e12', 'NaN', '-1', ' 1', '9'.repeat(400)]) {
      const refused = verifyWebhook({ headers: { ...headers, 'webhook-timestamp': timestamp }, body }, SECRET);
      await expect(refused).rejects.toMatchObject({ code: 'invalid_timestamp' });
    }
  });

  test('throws for a secret or a body with which no message can be verified', async () => {
    for (const secret of ['', 'whsec_', 'whsec_***'])
      await expect(verifyWebhook({ headers, body }, secret)).rejects.toThrow(TypeError);
    await expect(verifyWebhook({ headers, body }, [])).rejects.toThrow(TypeError);
    const parsed = { headers, body: EVENT } as never;
    await expect(verifyWebhook(parsed, SECRET)).rejects.toThrow('parsed already');
  });
});

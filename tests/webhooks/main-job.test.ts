import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { useMillrace } from '../support/millrace.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';
import { untilCached } from '../support/until-cached.ts';

const MODEL = 'drug-interaction';
const millrace = useMillrace({
  models: [MODEL],
  env: {
    WEBHOOK_ALLOW_HTTP: 'true',
    WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8',
    PUBLIC_URL: 'https://millrace.example',
  },
});
let receiver: Receiver;
beforeAll(async () => {
  receiver = await startReceiver();
});
afterAll(() => receiver.close());

const requestWith = (path: string, more: object = {}) => ({
  input: { drug_a: 'Warfarin', drug_b: 'Aspirin' },
  webhook: { url: receiver.url + path, ...more },
});

describe('a prediction with a webhook', () => {
  test('sends its end, signed with the secret of the tenant, whether the result was computed or cached', async () => {
    const { secret } = (await millrace.request('/v1/webhook-secret/rotate', { method: 'POST' })).body;
    const miss = await millrace.predict(MODEL, { ...requestWith('/200/miss'), metadata: { order: '17' } });
    expect(miss.status).toBe(202);
    const [first] = await receiver.until('/200/miss', 1);
    expect(new Webhook(secret).verify(first!.body, first!.headers)).toMatchObject({
      type: 'prediction.succeeded',
      data: {
        id: miss.body.id,
        metadata: { order: '17' },
        url: `https://millrace.example/v1/predictions/${miss.body.id}`,
      },
    });
    const hit = await untilCached(millrace, MODEL, requestWith('/200/hit'));
    expect(hit.headers.get('cache-status')).toMatch(/^millrace; hit/);
    const [second] = await receiver.until('/200/hit', 1);
    expect(new Webhook(secret).verify(second!.body, second!.headers)).toMatchObject({ data: { id: hit.body.id } });
    expect(hit.body.id).not.toBe(miss.body.id);
  });

  test('shows the attempts of its delivery', async () => {
    const { body } = await millrace.predict(MODEL, requestWith('/500/shown'));
    await receiver.until('/500/shown', 1);
    await expect
      .poll(async () => (await millrace.request(`/v1/webhook-deliveries?prediction_id=${body.id}`)).body.data, {
        timeout: 60_000,
      })
      .toMatchObject([
        { status: 'pending', endpoint_id: null, attempts: [{ http_status: 500, reply: 'replied 500' }] },
      ]);
  });

  test('also sends its end to registered endpoints, and adds the event to the feed', async () => {
    const made = await millrace.request('/v1/webhook-endpoints', {
      body: { url: `${receiver.url}/200/registered`, models: [MODEL] },
    });
    expect(made.status).toBe(201);
    const start = (await millrace.request('/v1/events?limit=1000')).body.next;
    const { body } = await millrace.predict(
      MODEL,
      { input: { drug_a: 'Warfarin', drug_b: 'Fluconazole' } },
      { prefer: 'wait=10' },
    );
    const [got] = await receiver.until('/200/registered', 1);
    new Webhook(made.body.secret).verify(got!.body, got!.headers);
    const feed = (await millrace.request(`/v1/events?cursor=${start}`)).body;
    expect(feed.data).toMatchObject([{ id: got!.headers['webhook-id'], data: { id: body.id } }]);
  });

  test('accepts tests and secret rotations from clients that send a Content-Type without a body', async () => {
    const { body } = await millrace.request('/v1/webhook-endpoints', { body: { url: `${receiver.url}/200/bare` } });
    const headers = { 'content-type': 'application/json' };
    for (const action of ['test', 'secret/rotate']) {
      const { status } = await millrace.request(`/v1/webhook-endpoints/${body.id}/${action}`, {
        method: 'POST',
        headers,
      });
      expect(status).toBeLessThan(300);
    }
    await receiver.until('/200/bare', 1);
  });

  test('is refused for an unknown event', async () => {
    const { status, body } = await millrace.predict(MODEL, requestWith('/200/x', { events: ['prediction.exploded'] }));
    expect(status).toBe(400);
    expect(body.code).toBe('invalid_request');
  });

  test.each(['http://10.1/', 'https://169.254.169.254/latest', 'https://[::ffff:a9fe:a9fe]/', 'gopher://127.0.0.1/'])(
    'is refused with an internal address, and no prediction is accepted: %s',
    async (url) => {
      const { status, body } = await millrace.predict(MODEL, { ...requestWith(''), webhook: { url } });
      expect(status).toBe(422);
      expect(body).toMatchObject({ code: 'webhook_refused', errors: [{ pointer: '/webhook/url' }] });
    },
  );
});

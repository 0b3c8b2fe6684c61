/** The example app with a real server: a submission, its webhook, and the page. */
import { Millrace } from '@millrace/client';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createApp } from '../../examples/fastify-app/app.ts';
import { useMillrace } from '../support/millrace.ts';

const millrace = useMillrace({
  models: ['drug-interaction'],
  env: { WEBHOOK_ALLOW_HTTP: 'true', WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8' },
});
let app: FastifyInstance;
let url: string;
beforeAll(async () => {
  const client = new Millrace({ baseUrl: millrace.url });
  const { secret } = await client.request('POST', '/v1/webhook-secret/rotate', { body: {} });
  // The address is known before the app listens, as in production.
  const settings = { millraceUrl: millrace.url, secret, appUrl: 'http://127.0.0.1:0' };
  const probe = await createApp(settings);
  url = await probe.listen({ port: 0, host: '127.0.0.1' });
  await probe.close();
  app = await createApp({ ...settings, appUrl: url });
  await app.listen({ port: Number(new URL(url).port), host: '127.0.0.1' });
});
afterAll(() => app?.close());

const page = async () => (await fetch(url)).text();
const submit = (drug_a: string, drug_b: string) =>
  fetch(`${url}/predictions`, { method: 'POST', body: new URLSearchParams({ drug_a, drug_b }), redirect: 'manual' });

test('a submission returns at once, and its result is on the page after the webhook', async () => {
  const response = await submit('Warfarin', 'Fluconazole');
  expect([response.status, response.headers.get('location')]).toEqual([303, '/']);
  await expect.poll(page).toMatch(/Warfarin and Fluconazole<\/td><td>succeeded<\/td><td>[^<]*probability/);
});

test('an unknown drug is a sentence on the page, with the drugs that the name resembles', async () => {
  const response = await submit('Warfarrin', '<b>Aspirin</b>');
  expect(response.status).toBe(422);
  const text = await response.text();
  expect(text).toContain('Did you mean Warfarin?');
  expect(text).not.toContain('<b>');
  expect((await submit('', 'Aspirin')).status).toBe(400);
});

test('a webhook of another sender changes nothing', async () => {
  const before = await page();
  const forged = JSON.stringify({ id: 'e', type: 'prediction.succeeded', data: { id: 'pred_1' } });
  expect((await fetch(`${url}/webhooks/millrace`, { method: 'POST', body: forged })).status).toBe(400);
  expect(await page()).toBe(before);
});

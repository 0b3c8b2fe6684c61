import { describe, expect, test } from 'vitest';
import { internalSpellings } from '../../../../tests/support/internal-spellings.ts';
import { createWebhookCheck } from './check-target.ts';

const settings = { webhookHttp: false, webhookNetworks: [] };
const outside = async () => ['8.8.8.8'];

describe('the webhook check of the API', () => {
  test.each(internalSpellings)('rejects %s', async (host) => {
    const check = createWebhookCheck({ ...settings, webhookHttp: true }, async () => ['127.0.0.1']);
    for (const scheme of ['http', 'https']) {
      await expect(check(`${scheme}://${host}/hook`)).rejects.toMatchObject({ code: 'webhook_refused' });
    }
  });

  test('requires https unless the operator allows http, and accepts public addresses', async () => {
    const check = createWebhookCheck(settings, outside);
    await expect(check('https://receiver.example/hook?a=1')).resolves.toBeUndefined();
    await expect(check('http://receiver.example/hook')).rejects.toThrow('must be https');
  });

  test('resolves a host name once per 30 s, however many predictions name the host', async () => {
    let lookUps = 0;
    let nowMs = 0;
    const resolve = async () => [++lookUps > 1 ? '10.0.0.1' : '8.8.8.8'];
    const check = createWebhookCheck(settings, resolve, () => nowMs);
    for (let i = 0; i < 100; i++) await check(`https://receiver.example/hook?job=${i}`);
    expect(lookUps).toBe(1);
    nowMs += 30_000;
    await expect(check('https://receiver.example/')).rejects.toMatchObject({ code: 'webhook_refused' });
  });

  test('accepts a host name that does not resolve', async () => {
    const check = createWebhookCheck(settings, () => Promise.reject(new Error('ETIMEOUT')));
    await expect(check('https://nowhere.example/')).resolves.toBeUndefined();
  });
});

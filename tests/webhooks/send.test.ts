import { addressRule } from '@millrace/shared/webhooks/address';
import { createResolve } from '@millrace/shared/webhooks/resolve';
import { checkTarget, type Resolve } from '@millrace/shared/webhooks/target';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createSender, type Sender, type SenderOptions } from '../../apps/worker/src/webhooks/send.ts';
import { internalSpellings } from '../support/internal-spellings.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';

let receiver: Receiver;
let trap: Receiver;
let sender: Sender;
const TIMEOUT_MS = 400;
const noNames: Resolve = () => Promise.reject(new Error('no such name'));

function makeSender(given: Partial<SenderOptions> = {}): Sender {
  sender = createSender({
    allowHttp: true,
    mayReach: addressRule(['127.0.0.1/32']),
    resolve: noNames,
    timeoutMs: TIMEOUT_MS,
    replyMs: 200,
    ...given,
  });
  return sender;
}
const send = (url: string) => sender.send({ url, body: '{"a":1}', headers: { 'webhook-id': 'evt_1' } });

beforeAll(async () => {
  trap = await startReceiver({ host: '::' });
  receiver = await startReceiver({ redirectTo: `http://127.0.0.1:${trap.port}/` });
});
afterEach(() => sender.close());
afterAll(() => Promise.all([receiver.close(), trap.close()]));

describe('an attempt at a receiver that', () => {
  test('replies 200 succeeds, and the result has the reply', async () => {
    makeSender();
    const result = await send(`${receiver.url}/200?a=b`);
    expect(result).toMatchObject({ outcome: { status: 200 }, replyHead: 'replied 200' });
    expect(receiver.received.at(-1)).toMatchObject({
      path: '/200?a=b',
      body: '{"a":1}',
      headers: { 'content-type': 'application/json', 'webhook-id': 'evt_1', 'content-length': '7' },
    });
  });

  test.each([500, 410, 404, 503, 204])('replies %i has that status', async (status) => {
    makeSender();
    expect((await send(`${receiver.url}/${status}`)).outcome).toMatchObject({ status });
  });

  test.each([
    ['switches protocols', 'switch', { status: 101 }],
    ['sends interim replies without end', 'interim', { error: 'invalid_response' }],
  ])('%s ends the attempt', async (_, path, outcome) => {
    makeSender();
    expect((await send(`${receiver.url}/${path}`)).outcome).toMatchObject(outcome);
  });

  test('redirects has status 301, and the redirect is not followed', async () => {
    makeSender();
    const before = trap.connections();
    expect((await send(`${receiver.url}/redirect`)).outcome).toMatchObject({ status: 301 });
    expect(trap.connections()).toBe(before);
  });

  test('is busy returns its Retry-After', async () => {
    makeSender();
    expect((await send(`${receiver.url}/busy`)).outcome).toEqual({ status: 429, retryAfter: '7' });
  });

  test.each([
    ['hang', { error: 'timeout' }],
    ['drip', { error: 'timeout' }],
    ['reset', { error: 'connection_reset' }],
    ['garbage', { error: 'invalid_response' }],
  ])('does %s ends by the deadline', async (behaviour, outcome) => {
    makeSender();
    const result = await send(`${receiver.url}/${behaviour}`);
    expect(result.outcome).toEqual(outcome);
    expect(result.latencyMs).toBeLessThan(TIMEOUT_MS + 300);
  });

  test('replies 200 and then drips succeeds', async () => {
    makeSender();
    const result = await send(`${receiver.url}/drip-body`);
    expect(result.outcome).toMatchObject({ status: 200 });
    expect(result.replyHead).toMatch(/^x*$/);
    expect(result.latencyMs).toBeLessThan(TIMEOUT_MS + 300);
  });

  test('sends 1 GB is disconnected', async () => {
    makeSender();
    const before = process.memoryUsage().rss;
    const result = await send(`${receiver.url}/huge`);
    expect(result.outcome).toMatchObject({ status: 200 });
    expect(result.replyHead).toHaveLength(1_024);
    // The kernel accepts a few megabytes before the connection is closed.
    expect(receiver.bytesSent()).toBeLessThan(32 * 1_048_576);
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1_048_576);
  });

  test('is unreachable, without TLS or without a name fails', async () => {
    makeSender();
    expect((await send('http://127.0.0.1:1/')).outcome).toEqual({ error: 'connection_failed' });
    expect((await send(`https://127.0.0.1:${receiver.port}/`)).outcome).toEqual({ error: 'tls_failed' });
    expect((await send(`http://receiver.example:${receiver.port}/`)).outcome).toEqual({ error: 'dns_failed' });
  });

  test('closes a reused idle connection gets the message over a new connection', async () => {
    makeSender();
    const before = receiver.connections();
    expect((await send(`${receiver.url}/once`)).outcome).toMatchObject({ status: 200 });
    expect((await send(`${receiver.url}/once`)).outcome).toMatchObject({ status: 200 });
    expect(receiver.at('/once')).toHaveLength(3);
    expect(receiver.connections()).toBe(before + 2);
  });

  test('is slow is disconnected at once when the attempt is aborted', async () => {
    makeSender({ timeoutMs: 60_000 });
    const abort = new AbortController();
    const sent = sender.send({ url: `${receiver.url}/hang/abort`, body: '{}', headers: {} }, abort.signal);
    await receiver.until('/hang/abort', 1);
    abort.abort();
    expect((await sent).outcome).toEqual({ error: 'timeout' });
  });
});

describe('the trap', () => {
  test('can be reached when the operator allows the address', async () => {
    makeSender({ mayReach: addressRule(['127.0.0.0/8', '::1/128']) });
    const before = trap.connections();
    await send(`http://127.0.0.1:${trap.port}/200`);
    await send(`http://[::1]:${trap.port}/200`);
    expect(trap.connections()).toBe(before + 2);
  });

  test('gets no connection through any spelling', async () => {
    makeSender({ mayReach: addressRule([]), resolve: createResolve({ timeoutMs: 200, tries: 1 }) });
    const before = trap.connections();
    const outcomes = await Promise.all(
      [...internalSpellings, 'localhost', 'localhost.', 'LOCALHOST'].flatMap((host) => [
        send(`http://${host}:${trap.port}/200`),
        send(`https://${host}:${trap.port}/200`),
      ]),
    );
    expect(internalSpellings.length).toBeGreaterThanOrEqual(25);
    for (const { outcome } of outcomes) expect(outcome).toHaveProperty('error');
    expect(trap.connections()).toBe(before);
  });

  test('gets no connection through a name with an internal address among its addresses', async () => {
    const inside = [
      '127.0.0.1',
      '::1',
      '::ffff:127.0.0.1',
      '::ffff:7f00:1',
      '0.0.0.0',
      '::',
      '::127.0.0.1',
      'fe80::1%lo',
    ];
    makeSender({ mayReach: addressRule([]), resolve: async () => inside });
    const before = trap.connections();
    expect((await send(`http://inside.example:${trap.port}/200`)).outcome).toEqual({ error: 'address_refused' });
    expect(trap.connections()).toBe(before);
  });

  test.each(['bücher.example', 'receiver.example.', 'RECEIVER.example'])(
    'is called when 0.1.0 registered the receiver under another spelling: %s',
    async (host) => {
      makeSender({ resolve: async () => ['127.0.0.1'] });
      expect((await send(`http://${host}:${receiver.port}/200`)).outcome).toEqual({ status: 200 });
    },
  );

  test('gets no connection through a name whose address changes after the check', async () => {
    // The harmless address is an allowed address here, because a test may not call an outside address.
    const queries: string[] = [];
    const rebinding: Resolve = async () => {
      queries.push('query');
      return [queries.length % 2 === 1 ? '127.0.0.2' : '127.0.0.1'];
    };
    const rules = { allowHttp: true, mayReach: addressRule(['127.0.0.2/32']) };
    makeSender({ ...rules, resolve: rebinding });
    const url = `http://rebinding.example:${trap.port}/200`;
    const before = trap.connections();
    for (let i = 0; i < 10; i++) {
      await checkTarget(url, rules, rebinding);
      const { outcome } = await send(url);
      expect(outcome).toHaveProperty('error');
    }
    expect(queries.length).toBeGreaterThanOrEqual(20);
    expect(trap.connections()).toBe(before);
  });
});

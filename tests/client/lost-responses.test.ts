/** Connections that break at any byte: every call has exactly one prediction. */
import { Millrace } from '@millrace/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type HttpProxy, startHttpProxy } from '../support/http-proxy.ts';
import { useSmallModels } from '../support/small-models.ts';

/** The connections that are open at a time. */
const AT_A_TIME = 25;

const millrace = useSmallModels(['echo'], { MAX_QUEUE: '5000' });
let proxy: HttpProxy;
beforeAll(async () => {
  proxy = await startHttpProxy(millrace.url);
});
afterAll(() => proxy.close());

const keyOf = (head: string) => /idempotency-key: (\S+)/i.exec(head)?.[1] ?? '';
const isSubmit = (head: string) => head.startsWith('POST /v1/models/echo/predictions ');

/** Runs `call` for each number below `count`, a few at a time. */
async function forEach(count: number, call: (n: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < count) {
      next += 1;
      await call(next - 1);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, lane));
}

/** The number of predictions of each call. */
async function countPredictions(client: Millrace, of: string): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for await (const { metadata } of client.list({ metadata: { of }, limit: 100 })) {
    const call = String(metadata?.call);
    counts.set(call, (counts.get(call) ?? 0) + 1);
  }
  return counts;
}

/** The number of bytes of the response to a submission. */
async function responseBytes(client: Millrace): Promise<number> {
  let size = 0;
  proxy.decide((head) => (isSubmit(head) ? { onResponse: (bytes) => (size = bytes) } : undefined));
  await client.submit('echo', { x: [0, 0] }, { metadata: { of: 'size', call: '1234' } });
  return size;
}

test('submissions whose responses are cut at every byte create one prediction each', { timeout: 300_000 }, async () => {
  const client = new Millrace({ baseUrl: proxy.url });
  const size = await responseBytes(client);
  const calls = Math.max(1_000, size + 1);
  const cut = new Map<string, number>();
  proxy.decide((head) => {
    if (!isSubmit(head) || cut.has(keyOf(head))) return undefined;
    cut.set(keyOf(head), cut.size % (size + 1));
    return { cutAfter: cut.get(keyOf(head))! };
  });
  const ids = new Set<string>();
  await forEach(calls, async (call) => {
    const { id } = await client.submit('echo', { x: [call, 1] }, { metadata: { of: 'submit', call: String(call) } });
    ids.add(id);
  });
  expect([ids.size, cut.size]).toEqual([calls, calls]);
  const counts = await countPredictions(client, 'submit');
  expect(counts.size).toBe(calls);
  expect([...counts.values()].filter((count) => count !== 1)).toEqual([]);
});

test('a run whose response is cut resolves with its output, and creates one prediction', {
  timeout: 180_000,
}, async () => {
  const client = new Millrace({ baseUrl: proxy.url });
  const seen = new Map<string, number>();
  // The first response breaks in its head, the second in its body, and the third passes.
  const cuts = [100, 900];
  proxy.decide((head) => {
    if (!isSubmit(head)) return undefined;
    const attempt = seen.get(keyOf(head)) ?? 0;
    seen.set(keyOf(head), attempt + 1);
    return { cutAfter: cuts[attempt] };
  });
  await forEach(50, async (call) => {
    const output = await client.run('echo', { x: [call, 2] }, { metadata: { of: 'run', call: String(call) } });
    expect(output).toEqual({ y: { dtype: 'int64', shape: [2], data: [call, 2] } });
  });
  expect([...seen.values()]).toEqual(Array.from({ length: 50 }, () => 3));
  expect((await countPredictions(client, 'run')).size).toBe(50);
});

test('an error after the last attempt has the key of the call, which names the prediction', async () => {
  const client = new Millrace({ baseUrl: proxy.url, maxRetries: 1 });
  proxy.decide((head) => (isSubmit(head) ? { cutAfter: 0 } : undefined));
  const lost = client.submit('echo', { x: [1, 3] }, { metadata: { of: 'lost' }, idempotencyKey: 'my-order-17' });
  await expect(lost).rejects.toMatchObject({
    code: 'connection_failed',
    retryable: true,
    idempotencyKey: 'my-order-17',
  });
  proxy.decide(() => undefined);
  // The next program finds the prediction under the key.
  const found = await client.submit('echo', { x: [1, 3] }, { metadata: { of: 'lost' }, idempotencyKey: 'my-order-17' });
  expect(await found.wait()).toEqual({ y: { dtype: 'int64', shape: [2], data: [1, 3] } });
  const ids: string[] = [];
  for await (const { id } of client.list({ metadata: { of: 'lost' } })) ids.push(id);
  expect(ids).toEqual([found.id]);
});

import { createConnection } from 'node:net';
import { expect, test, vi } from 'vitest';
import { useMillrace } from '../support/millrace.ts';
import { routesOf } from '../support/routes.ts';

const MODEL = 'drug-interaction-similarity';
const millrace = useMillrace({ models: [MODEL] });
const body = { input: { similarities: [[0.1, 0.2, 0.3, 0.4, 0.5]] } };
const HEADER = 'x-content-type-options: nosniff';

/** Returns the head of each response to the bytes of one request. */
async function heads(request: string): Promise<string> {
  const { hostname, port } = new URL(millrace.url);
  const socket = createConnection(Number(port), hostname);
  // The socket stays open for writing: the API treats an early end as a client that has disconnected.
  socket.write(request);
  const text = (await socket.toArray()).join('');
  return text.split('\r\n\r\n')[0] ?? '';
}

test('every route sends nosniff', async () => {
  const missing: string[] = [];
  for (const { method, url } of routesOf(millrace.api.app)) {
    const response = await heads(`${method} ${url} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
    expect(response).toMatch(/^HTTP\/1.1 \d{3} /);
    if (!response.toLowerCase().includes(HEADER)) missing.push(`${method} ${url}: ${response}`);
  }
  expect(missing).toEqual([]);
});

test('responses outside of routes send nosniff', async () => {
  for (const target of ['/nothing', '/v2/nothing', '/%', `/v1/models/${'x'.repeat(400)}`, ' x'])
    expect((await heads(`GET ${target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)).toLowerCase()).toContain(
      HEADER,
    );
  expect((await heads('what?\r\n\r\n')).toLowerCase()).toContain(HEADER);
  expect((await heads(`GET / HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(17_000)}\r\n\r\n`)).toLowerCase()).toContain(
    HEADER,
  );
});

test('responses that bypass Fastify send nosniff: computed results, cached results and event streams', async () => {
  const predict = () => millrace.predict(MODEL, body, { prefer: 'wait=10' });
  const computed = await predict();
  // The result is stored beside the response, and possibly after the response.
  const cached = await vi.waitUntil(
    async () => {
      const response = await predict();
      return response.headers.get('cache-status')?.includes('hit') && response;
    },
    { timeout: 60_000 },
  );
  const { id } = computed.body;
  const events = await fetch(`${millrace.url}/v1/predictions/${id}/events`);
  await events.text();
  const unchanged = await millrace.request(`/v1/predictions/${id}`, { headers: { 'if-none-match': '*' } });
  expect(unchanged.status).toBe(304);
  for (const { headers } of [computed, cached, events, unchanged])
    expect(headers.get('x-content-type-options')).toBe('nosniff');
});

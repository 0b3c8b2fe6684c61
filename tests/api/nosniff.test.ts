import { createConnection } from 'node:net';
import { expect, test } from 'vitest';
import { useMillrace } from '../support/millrace.ts';
import { routesOf } from '../support/routes.ts';

const MODEL = 'drug-interaction-similarity';
const millrace = useMillrace({ models: [MODEL] });
const body = { input: { similarities: [[0.1, 0.2, 0.3, 0.4, 0.5]] } };
const HEADER = 'x-content-type-options: nosniff';

/** The heads of all responses to the bytes of one request. */
async function heads(request: string): Promise<string> {
  const { hostname, port } = new URL(millrace.url);
  const socket = createConnection(Number(port), hostname);
  // Not ended here: the API takes the end for a client that has gone.
  socket.write(request);
  const text = (await socket.toArray()).join('');
  return text.split('\r\n\r\n')[0] ?? '';
}

test('every route says nosniff', async () => {
  const missing: string[] = [];
  for (const { method, url } of routesOf(millrace.api.app)) {
    const answer = await heads(`${method} ${url} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1.1 \d{3} /);
    if (!answer.toLowerCase().includes(HEADER)) missing.push(`${method} ${url}: ${answer}`);
  }
  expect(missing).toEqual([]);
});

test('so does a response that no route makes', async () => {
  for (const target of ['/nothing', '/v2/nothing', '/%', `/v1/models/${'x'.repeat(400)}`, ' x'])
    expect((await heads(`GET ${target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)).toLowerCase()).toContain(
      HEADER,
    );
  expect((await heads('what?\r\n\r\n')).toLowerCase()).toContain(HEADER);
  expect((await heads(`GET / HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(17_000)}\r\n\r\n`)).toLowerCase()).toContain(
    HEADER,
  );
});

test('so do answers that pass Fastify by: computed, from the cache, and streams of events', async () => {
  const ask = () => millrace.predict(MODEL, body, { prefer: 'wait=10' });
  const computed = await ask();
  const cached = await ask();
  expect(cached.headers.get('cache-status')).toContain('hit');
  const { id } = computed.body;
  const events = await fetch(`${millrace.url}/v1/predictions/${id}/events`);
  await events.text();
  const unchanged = await millrace.ask(`/v1/predictions/${id}`, { headers: { 'if-none-match': '*' } });
  expect(unchanged.status).toBe(304);
  for (const { headers } of [computed, cached, events, unchanged])
    expect(headers.get('x-content-type-options')).toBe('nosniff');
});

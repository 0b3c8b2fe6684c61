import { once } from 'node:events';
import { createConnection } from 'node:net';
import { describe, expect, test } from 'vitest';
import { useSmallModels } from '../support/small-models.ts';

const millrace = useSmallModels(['echo']);

interface Half {
  status: number;
  head: string;
  body: string;
}

/** Sends a request and ends this side at once (shutdown(SHUT_WR)). Resolves to the response when the server has closed. */
async function sendAndEnd(
  method: string,
  path: string,
  given: { body?: unknown; headers?: string[] } = {},
): Promise<Half> {
  const { hostname, port } = new URL(millrace.url);
  const socket = createConnection({ host: hostname, port: Number(port), allowHalfOpen: true });
  let got = '';
  socket.setEncoding('latin1').on('data', (chunk) => {
    got += chunk;
  });
  socket.on('error', () => {});
  const body = given.body === undefined ? '' : JSON.stringify(given.body);
  const type = body === '' ? [] : ['content-type: application/json', `content-length: ${body.length}`];
  const lines = [`${method} ${path} HTTP/1.1`, 'host: x', ...type, ...(given.headers ?? [])];
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`);
  await once(socket, 'close');
  const [head = '', ...rest] = got.split('\r\n\r\n');
  return { status: Number(head.split(' ')[1] ?? 0), head, body: rest.join('\r\n\r\n') };
}

const PATH = '/v1/models/echo/predictions';
const inputOf = (x: number) => ({ input: { x: [x, 1] } });
const WAIT = ['prefer: wait=30'];

describe('a client that ends its side after the request', () => {
  test('gets each response that needs no wait', async () => {
    // The worker writes the result to the cache beside the first response.
    const cacheStatus = async () => {
      const { headers } = await millrace.predict('echo', inputOf(1), { prefer: 'wait=30' });
      return headers.get('cache-status');
    };
    await expect.poll(cacheStatus).toContain('hit');
    const hit = await sendAndEnd('POST', PATH, { body: inputOf(1), headers: WAIT });
    expect([hit.status, hit.head]).toEqual([200, expect.stringContaining('millrace; hit')]);
    const stored = await sendAndEnd('POST', PATH, { body: inputOf(1) });
    expect(stored.status).toBe(200);
    const accepted = await sendAndEnd('POST', PATH, { body: inputOf(2) });
    expect(accepted.status).toBe(202);
    const { id } = JSON.parse(accepted.body);
    expect((await sendAndEnd('GET', `/v1/predictions/${id}`)).status).toBe(200);
    expect((await sendAndEnd('POST', PATH, { body: { input: 'no tensor' } })).status).toBe(422);
    expect((await sendAndEnd('GET', '/healthz')).status).toBe(200);
  });

  test('counts as gone in a wait, and gets what is ready', async () => {
    await millrace.stopWorkers('stop');
    // Nobody can find this prediction again. Millrace cancels the prediction, and closes the connection without a response.
    const lost = await sendAndEnd('POST', PATH, { body: inputOf(3), headers: WAIT });
    expect(lost.head).toBe('');
    // The key finds the prediction again.
    const keyed = await sendAndEnd('POST', PATH, { body: inputOf(4), headers: [...WAIT, 'idempotency-key: half'] });
    expect(keyed.status).toBe(202);
    const { id } = JSON.parse(keyed.body);
    const waiting = await sendAndEnd('GET', `/v1/predictions/${id}?wait=30`);
    expect([waiting.status, JSON.parse(waiting.body).status]).toEqual([200, 'queued']);
    expect((await sendAndEnd('GET', `/v1/predictions/${id}/events`)).status).toBe(200);
    const tensor = { name: 'x', shape: [1, 2], datatype: 'INT64', data: [5, 1] };
    const v2 = await sendAndEnd('POST', '/v2/models/echo/infer', { body: { inputs: [tensor] } });
    expect(v2.status === 0 || v2.status >= 400).toBe(true);
  });
});

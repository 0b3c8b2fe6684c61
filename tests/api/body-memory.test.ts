/** Tests that the bodies of many requests do not exceed the memory for bodies, and that the memory is free again afterwards. */
import { once } from 'node:events';
import http from 'node:http';
import { beforeAll, expect, test } from 'vitest';
import { useSmallModels } from '../support/small-models.ts';

const millrace = useSmallModels(['image'], { BODY_MEMORY: '4' });

let next = 0;
/** A tensor of 1 MiB in base64. */
function body(): string {
  const bytes = Buffer.alloc(1_048_576);
  next += 1;
  bytes.writeFloatLE(next);
  return JSON.stringify({ input: { x: { shape: [1, 512, 512, 1], base64: bytes.toString('base64') } } });
}

interface Reply {
  status: number;
  code: string | undefined;
  retryAfter: string | undefined;
  ratelimit: string | string[] | undefined;
}

/** Sends a request by node:http. `chunked`: without Content-Length. */
async function post(text: string, { chunked = false, agent = http.globalAgent } = {}): Promise<Reply> {
  const request = http.request(`${millrace.url}/v1/models/image/predictions`, {
    method: 'POST',
    agent,
    headers: {
      'content-type': 'application/json',
      prefer: 'wait=30',
      ...(chunked ? { 'transfer-encoding': 'chunked' } : { 'content-length': Buffer.byteLength(text) }),
    },
  });
  request.end(text);
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part as Buffer);
  const json = JSON.parse(Buffer.concat(parts).toString()) as { code?: string };
  const { 'retry-after': retryAfter, ratelimit } = response.headers;
  return { status: response.statusCode ?? 0, code: json.code, retryAfter, ratelimit };
}

const FULL = { status: 429, code: 'body_memory_full', retryAfter: '1', ratelimit: '"body-memory";r=0;t=1' };

beforeAll(async () => {
  expect(await post(body())).toMatchObject({ status: 200 });
});

test.each([
  ['with Content-Length', false],
  ['in chunks', true],
])('requests %s that do not fit are refused, and the others succeed', { timeout: 180_000 }, async (_, chunked) => {
  await millrace.stopWorkers('stop');
  const agent = new http.Agent({ keepAlive: true });
  const waiting = Array.from({ length: 12 }, () => post(body(), { chunked, agent }));
  // Each body takes 1.4 of 4 MiB. The requests that fit wait for a worker.
  await countRefusals(waiting, 10);
  await millrace.startWorker();
  const replies = await Promise.all(waiting);
  const accepted = replies.filter(({ status }) => status === 200);
  expect([1, 2]).toContain(accepted.length);
  expect(replies.filter((reply) => !accepted.includes(reply))).toEqual(
    Array.from({ length: 12 - accepted.length }, () => FULL),
  );
  // The memory is free again, and the connections of refused requests are still in use.
  for (let at = 0; at < 12; at += 1) expect(await post(body(), { chunked, agent })).toMatchObject({ status: 200 });
  agent.destroy();
});

/** Resolves when so many replies are refusals. */
function countRefusals(replies: Promise<Reply>[], count: number): Promise<void> {
  let refused = 0;
  return new Promise((resolve) => {
    for (const reply of replies)
      void reply.then(({ status }) => {
        if (status === 429) refused += 1;
        if (refused === count) resolve();
      });
  });
}

test('clients that announce large bodies and send nothing keep out no other body', async () => {
  const hanging = Array.from({ length: 16 }, () => {
    const request = http.request(`${millrace.url}/v1/models/image/predictions`, {
      method: 'POST',
      agent: false,
      headers: { 'content-type': 'application/json', 'content-length': 2_000_000 },
    });
    request.on('error', () => {});
    request.write('{');
    return request;
  });
  await Promise.all(hanging.map((request) => once(request, 'socket')));
  expect(await post(body())).toMatchObject({ status: 200 });
  for (const request of hanging) request.destroy();
});

test('a client that closes its connection frees the memory of its body', async () => {
  await millrace.stopWorkers('stop');
  const text = body();
  for (let at = 0; at < 8; at += 1) {
    const request = http.request(`${millrace.url}/v1/models/image/predictions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', prefer: 'wait=30', 'content-length': Buffer.byteLength(text) },
    });
    request.on('error', () => {});
    request.write(text.slice(0, text.length - 10));
    await once(request, 'socket');
    request.destroy();
  }
  await millrace.startWorker();
  expect(await post(body())).toMatchObject({ status: 200 });
});

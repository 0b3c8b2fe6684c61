import type { AddressInfo } from 'node:net';
import Fastify from 'fastify';
import pino from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createResponseBatch } from './response-batch.ts';

const app = Fastify();
const logged: unknown[] = [];
let url = '';

beforeAll(async () => {
  const sendOut = createResponseBatch(pino({}, { write: (line: string) => void logged.push(JSON.parse(line)) }));
  app.get<{ Params: { n: string } }>('/:n', (request, reply) => {
    const { n } = request.params;
    sendOut({ reply, code: 200, headers: ['x-n', n], body: `{"n":"${n}ä"}`, encoding: 'utf8' });
  });
  app.get<{ Params: { n: string } }>('/stored/:n', (request, reply) => {
    const { n } = request.params;
    const body = Buffer.from(`{"n":"${n}ä"}`).toString('latin1');
    sendOut({ reply, code: 200, headers: [], body, encoding: 'latin1' });
  });
  app.get('/broken', (_, reply) =>
    sendOut({ reply, code: 200, headers: ['x-n', 'two\nlines'], body: '{}', encoding: 'utf8' }),
  );
  await app.listen({ host: '127.0.0.1', port: 0 });
  url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
});
afterAll(() => app.close());

test('each of many simultaneous requests receives its own whole response', async () => {
  const responses = await Promise.all(
    Array.from({ length: 300 }, async (_, n) => {
      const stored = n % 2 === 0;
      const response = await fetch(`${url}/${stored ? 'stored/' : ''}${n}`);
      return [response.status, response.headers.get('x-n'), await response.json()];
    }),
  );
  expect(responses).toEqual(responses.map((_, n) => [200, n % 2 === 0 ? null : `${n}`, { n: `${n}ä` }]));
});

test('a response that cannot be written ends its own connection and is logged; the other responses are sent', async () => {
  const [broken, ...others] = await Promise.allSettled(
    ['broken', '1', '2', '3'].map((path) => fetch(`${url}/${path}`)),
  );
  expect(broken?.status).toBe('rejected');
  expect(others.map((one) => one.status === 'fulfilled' && one.value.status)).toEqual([200, 200, 200]);
  expect(logged).toMatchObject([{ err: { code: 'ERR_INVALID_CHAR' } }]);
});

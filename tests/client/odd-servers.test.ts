/** Responses that no Millrace sends: of proxies, of other servers, and of later versions. */
import { once } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ApiError, ConnectionError, Millrace, type MillraceError, PredictionError } from '@millrace/client';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

let url: string;
let requests: { line: string; headers: http.IncomingHttpHeaders }[] = [];
let script: Handler[] = [];
const server = http.createServer((request, response) => {
  request.resume();
  requests.push({ line: `${request.method} ${request.url}`, headers: request.headers });
  // The last handler stays.
  const handler = script.length > 1 ? script.shift() : script[0];
  handler?.(request, response);
});
beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  requests = [];
});

const ID = `pred_${'0'.repeat(32)}`;

function json(status: number, body: unknown, headers: Record<string, string> = {}): Handler {
  return (_, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
  };
}

const prediction = (status: string, completed: boolean, more: object = {}) => ({
  id: ID,
  status,
  completed_at: completed ? '2026-01-01T00:00:00.000Z' : null,
  output: null,
  outputs: null,
  error: null,
  ...more,
});

const problem = (code: string, status: number, more: object = {}) => ({
  type: `urn:millrace:error:${code}`,
  title: 'Title',
  status,
  code,
  detail: 'Detail.',
  retryable: false,
  ...more,
});

const failureOf = (call: Promise<unknown>) =>
  call.then(
    () => {
      throw new Error('The call resolved.');
    },
    (error: unknown) => error as MillraceError,
  );

describe('a response', () => {
  test('without a problem is retried by its status, and obeys Retry-After', async () => {
    const page: Handler = (_, response) =>
      response.writeHead(503, { 'retry-after': '0' }).end('<html>Maintenance</html>');
    const date: Handler = (_, response) => response.writeHead(502, { 'retry-after': new Date().toUTCString() }).end();
    script = [
      page,
      date,
      json(408, problem('request_timeout', 408, { retryable: true })),
      json(200, prediction('succeeded', true, { output: 7 })),
    ];
    expect(await new Millrace({ baseUrl: url }).run('m', 1)).toBe(7);
    expect(requests).toHaveLength(4);
    const keys = new Set(requests.map(({ headers }) => headers['idempotency-key']));
    expect(keys.size).toBe(1);
  });

  test('with retryable false is final, whatever its status', async () => {
    script = [json(500, problem('handler_failed', 500))];
    expect(await failureOf(new Millrace({ baseUrl: url }).run('m', 1))).toMatchObject({
      code: 'handler_failed',
      status: 500,
    });
    expect(requests).toHaveLength(1);
  });

  test('with a long Retry-After is left to the caller', async () => {
    script = [
      json(429, problem('queue_full', 429, { retryable: true }), { 'retry-after': '3600', 'request-id': 'r-1' }),
    ];
    const error = await failureOf(new Millrace({ baseUrl: url }).submit('m', 1));
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ code: 'queue_full', retryAfterMs: 3_600_000, retryable: true, requestId: 'r-1' });
    expect(requests).toHaveLength(1);
  });

  test('that names a prediction which may exist has the id in its error', async () => {
    script = [
      json(503, problem('store_unavailable', 503, { retryable: true, prediction_id: ID }), { 'retry-after': '0' }),
    ];
    const error = await failureOf(new Millrace({ baseUrl: url, maxRetries: 1 }).submit('m', 1));
    expect(error).toMatchObject({ code: 'store_unavailable', predictionId: ID });
    expect(requests).toHaveLength(2);
  });

  test('of another server names baseUrl', async () => {
    const page: Handler = (_, response) =>
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html>Sign in</html>');
    for (const handler of [page, json(200, { hello: 'world' }), json(200, null), json(204, undefined)]) {
      script = [handler];
      const error = await failureOf(new Millrace({ baseUrl: url, maxRetries: 0 }).run('m', 1));
      expect(error.code).toBe('invalid_response');
      expect(error.message).toContain('baseUrl');
    }
    script = [(_, response) => response.writeHead(404, { 'content-type': 'text/html' }).end('<html>nginx</html>')];
    expect(await failureOf(new Millrace({ baseUrl: url }).get(ID))).toMatchObject({
      code: 'http_404',
      predictionId: ID,
      retryable: false,
    });
  });

  test('whose JSON is cut without an error of the connection is retried', async () => {
    const cut: Handler = (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json', connection: 'close' });
      response.end(`{"id": "${ID}", "sta`);
    };
    script = [cut, json(200, prediction('succeeded', true, { output: 8 }))];
    expect(await new Millrace({ baseUrl: url }).run('m', 1)).toBe(8);
  });

  test('that does not arrive ends the attempt after timeoutMs', async () => {
    script = [() => {}];
    const error = await failureOf(new Millrace({ baseUrl: url, timeoutMs: 50, maxRetries: 1 }).get(ID));
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error).toMatchObject({ code: 'timeout', predictionId: ID, retryable: true });
    expect(requests).toHaveLength(2);
  });
});

describe('a prediction', () => {
  test('with a terminal status of a later version ends the call', async () => {
    script = [
      json(202, prediction('queued', false)),
      (_, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        for (const state of [prediction('paused', false), prediction('rejected', true)])
          response.write(`id: ${state.status}\r\nevent: ${state.status}\r\ndata: ${JSON.stringify(state)}\r\n\r\n`);
      },
    ];
    const states: string[] = [];
    const error = await failureOf(
      new Millrace({ baseUrl: url }).run('m', 1, { onUpdate: ({ status }) => states.push(status) }),
    );
    expect(error).toBeInstanceOf(PredictionError);
    expect(error).toMatchObject({ code: 'rejected', predictionId: ID });
    expect(states).toEqual(['queued', 'paused', 'rejected']);
  });

  test('that succeeded with null resolves with null', async () => {
    script = [json(200, prediction('succeeded', true))];
    expect(await new Millrace({ baseUrl: url }).run('m', 1)).toBe(null);
  });

  test('that the server no longer knows ends the call with its id', async () => {
    script = [json(202, prediction('queued', false)), json(404, problem('prediction_not_found', 404))];
    expect(await failureOf(new Millrace({ baseUrl: url }).run('m', 1))).toMatchObject({
      code: 'prediction_not_found',
      predictionId: ID,
    });
  });

  test('whose stream breaks after each event continues from the last event', async () => {
    const event =
      (position: number, end: (response: ServerResponse) => void): Handler =>
      (_, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(
          `: hello\n\nid: 0.queued.${position}\nevent: queued\ndata: ${JSON.stringify(prediction('queued', false, { queue: { position } }))}\n\n`,
        );
        end(response);
      };
    script = [
      json(202, prediction('queued', false)),
      event(2, (response) => response.end()),
      event(1, (response) => response.write('id: 0.succeeded\ndata: {"id"', () => response.destroy())),
      json(200, prediction('succeeded', true, { output: 9 })),
    ];
    expect(await new Millrace({ baseUrl: url }).run('m', 1)).toBe(9);
    expect(requests.slice(1).map(({ headers }) => headers['last-event-id'])).toEqual([
      undefined,
      '0.queued.2',
      '0.queued.1',
      undefined,
    ]);
  });
});

describe('a request', () => {
  test('has the key, the headers of the client and of the call, and an encoded path', async () => {
    script = [json(200, prediction('succeeded', true))];
    const client = new Millrace({ baseUrl: `${url}/base/`, apiKey: 'mrk_secret', headers: { 'x-client': 'a' } });
    await client.run('m/../n', 1, {
      version: '1?x',
      headers: { 'x-call': 'b' },
      cacheControl: 'no-cache',
      idempotencyKey: 'k',
    });
    expect(requests[0]).toMatchObject({
      line: 'POST /base/v1/models/m%2F..%2Fn/versions/1%3Fx/predictions',
      headers: {
        authorization: 'Bearer mrk_secret',
        'x-client': 'a',
        'x-call': 'b',
        'cache-control': 'no-cache',
        'idempotency-key': 'k',
        prefer: 'wait=5',
      },
    });
  });

  test('that cannot be sent is an error at once, without the API key in the message', async () => {
    expect(() => new Millrace({ apiKey: 'mrk_se\ncret' })).toThrow(/^apiKey has characters/);
    expect(() => new Millrace({ baseUrl: 'localhost' })).toThrow(TypeError);
    expect(() => new Millrace({ baseUrl: 'https://user:password@millrace.example' })).toThrow(/^baseUrl has a user/);
    const client = new Millrace({ baseUrl: url });
    await expect(client.run('m', 10n)).rejects.toThrow(TypeError);
    await expect(client.run('m', 1, { headers: { 'x-a': 'a\nb' } })).rejects.toThrow(TypeError);
    expect(requests).toEqual([]);
  });
});

import { request } from 'node:http';
import { createConnection } from 'node:net';
import { afterAll, describe, expect, test } from 'vitest';
import { useMillrace } from '../support/millrace.ts';
import { makeModelFolder } from '../support/model-folder.ts';

let remove = async () => {};
const millrace = useMillrace(async () => {
  const folder = await makeModelFolder(['echo', 'rows']);
  remove = folder.remove;
  const env = {
    JSON_LIMIT: '20000',
    MAX_ROWS: '50',
    MAX_METADATA: '100',
    MAX_STRING_LENGTH: '1000',
    MAX_HEADERS: '40',
    REQUEST_TIMEOUT_MS: '1000',
    JSON_DEPTH: '16',
  };
  return { modelsDir: folder.dir, models: ['echo', 'rows'], env };
});
afterAll(() => remove());

const PATH = '/v1/models/echo/predictions';
const input = { x: [1, 2] };
const known = (body: unknown) => millrace.predict('echo', body, { prefer: 'wait=10' });

/** Returns all bytes that the API sends in reply to the bytes on a socket. */
function raw(text: string): Promise<string> {
  const { hostname, port } = new URL(millrace.url);
  return new Promise((resolve, reject) => {
    const socket = createConnection(Number(port), hostname, () => socket.write(text));
    let got = '';
    socket.on('data', (chunk) => {
      got += chunk;
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(got));
  });
}

describe('a limit accepts the largest allowed value and refuses a larger value:', () => {
  test('the body', async () => {
    const padded = (bytes: number) => JSON.stringify({ input }).padEnd(bytes);
    expect((await known(padded(20_000))).status).toBe(200);
    const over = await known(padded(20_001));
    expect([over.status, over.body.code]).toEqual([413, 'payload_too_large']);
    expect(over.body.errors).toMatchObject([{ expected: 'at most 20000 bytes', got: '20001 bytes' }]);
  });

  test('rows', async () => {
    const rows = (count: number) => ({ inputs: Array.from({ length: count }, (_, at) => ({ x: [[at, 0]] })) });
    const send = (count: number) => millrace.predict('rows', rows(count), { prefer: 'wait=10' });
    expect((await send(50)).status).toBe(200);
    expect((await send(51)).body).toMatchObject({ code: 'invalid_request', errors: [{ pointer: '/inputs' }] });
    const tensor = { input: { x: Array.from({ length: 51 }, (_, at) => [at, 0]) } };
    expect((await millrace.predict('rows', tensor)).body).toMatchObject({ errors: [{ pointer: '/input' }] });
  });

  test('metadata', async () => {
    const send = (length: number) => known({ input, metadata: { m: 'x'.repeat(length - 8) } });
    expect((await send(100)).status).toBe(200);
    expect((await send(101)).body).toMatchObject({ code: 'invalid_metadata', errors: [{ pointer: '/metadata' }] });
  });

  test('the length of a string', async () => {
    const send = (length: number) => known({ input: { x: ['0'.repeat(length - 1) + 1, 2] } });
    expect((await send(1_000)).body.code).not.toBe('invalid_json');
    expect((await send(1_001)).body).toMatchObject({ code: 'invalid_json', errors: [{ pointer: '/input/x/0' }] });
  });

  test('the depth of JSON', async () => {
    const send = (depth: number) =>
      known({ input, metadata: JSON.parse(`${'{"a":'.repeat(depth - 1)}1${'}'.repeat(depth - 1)}`) });
    // The JSON is read, and then refused as metadata.
    expect((await send(15)).body.code).toBe('invalid_metadata');
    expect((await send(16)).body.code).toBe('invalid_metadata');
    expect((await send(17)).body.code).toBe('json_too_deep');
  });

  test('headers', async () => {
    const send = (count: number) =>
      raw(
        `GET /healthz HTTP/1.1\r\n${Array.from({ length: count - 2 }, (_, at) => `x-${at}: 1\r\n`).join('')}host: x\r\nconnection: close\r\n\r\n`,
      );
    expect(await send(40)).toMatch(/^HTTP\/1.1 200 /);
    expect(await send(41)).toMatch(/^HTTP\/1.1 431 [\s\S]*"code":"headers_too_large"/);
    expect(await raw(`GET /healthz HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(17_000)}\r\n\r\n`)).toMatch(
      /^HTTP\/1.1 431 [\s\S]*application\/problem\+json[\s\S]*"code":"headers_too_large"/,
    );
  });

  test('the time for a body to arrive', async () => {
    const response = await raw(
      `POST ${PATH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{`,
    );
    expect(response).toMatch(/^HTTP\/1.1 408 [\s\S]*"code":"request_timeout"/);
  }, 60_000);
});

describe('a request is refused, as a problem,', () => {
  test.each([
    ['of another content type', { 'content-type': 'text/plain' }, 415, 'unsupported_media_type'],
    ['that is compressed', { 'content-encoding': 'gzip' }, 415, 'unsupported_media_type'],
    ['with an unreadable max-age', { 'cache-control': 'max-age=old' }, 400, 'invalid_header'],
  ])('%s', async (_, headers, status, code) => {
    const response = await millrace.predict('echo', { input }, headers as Record<string, string>);
    expect([response.status, response.body.code]).toEqual([status, code]);
  });

  test.each([
    ['{"input":{"x":[1,2]},"input":{"x":[3,4]}}', '/input'],
    ['{"input":{"x":[1e400,2]}}', '/input/x/0'],
    ['{"input":{"x":[1,2]},"metadata":{"__proto__":1}}', '/metadata/__proto__'],
    ['{"input":{"x":[NaN,2]}}', ''],
  ])('with a body like %s', async (body, pointer) => {
    const response = await millrace.predict('echo', body);
    expect([response.status, response.body]).toMatchObject([400, { code: 'invalid_json', errors: [{ pointer }] }]);
  });

  test('with a method that the path does not have', async () => {
    const response = await millrace.request(PATH, { method: 'PUT', body: {} });
    expect([response.status, response.body.code, response.headers.get('allow')]).toEqual([
      405,
      'method_not_allowed',
      'POST',
    ]);
    expect((await millrace.request('/v1/models', { method: 'DELETE' })).headers.get('allow')).toBe('GET, HEAD');
  });

  test.each(['/v3', '/v1/nothing', '/v1/models/%', '/v1/models/%00', `/v1/models/${'x'.repeat(400)}`])(
    'of %s',
    async (path) => {
      expect([400, 404]).toContain((await millrace.request(path)).status);
    },
  );

  const tooLong = 'x'.repeat(400);
  test.each([
    [`/v2/models/${tooLong}/infer`, { error: expect.any(String) }],
    ['/v2/models/%zz/infer', { error: expect.any(String) }],
    ['/openai/v1/%zz', { error: { message: expect.any(String), type: 'invalid_request_error', code: 'not_found' } }],
    [`/tei/${tooLong}/embed`, { error: expect.any(String), error_type: 'Validation' }],
    ['/tei/%zz/rerank', { error: expect.any(String), error_type: 'Validation' }],
  ])('of %s, in the form of the protocol', async (path, body) => {
    const response = await millrace.request(path, { method: 'POST', body: { inputs: 'x' } });
    expect([response.status, response.body]).toMatchObject([404, body]);
    expect(response.text).toContain(path.includes('%zz') ? 'broken percent-encoding' : 'more than 300 characters');
    expect(response.headers.get('content-type')).toMatch(/^application\/json/);
    expect(response.headers.get('request-id')).toBeTruthy();
    const { pathname } = new URL(path, 'http://x');
    const absolute = await raw(
      `POST http://x${pathname} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`,
    );
    expect(absolute).not.toContain('urn:millrace:error');
  });

  test('that is not HTTP', async () => {
    expect(await raw('what?\r\n\r\n')).toMatch(/^HTTP\/1.1 400 [\s\S]*"code":"invalid_request"/);
  });

  test('with a misspelled field', async () => {
    const response = await millrace.predict('echo', { input, expiresin: 3 });
    expect(response.body.errors).toMatchObject([{ pointer: '/expiresin', suggestions: ['expires_in'] }]);
  });
});

describe('caching follows HTTP:', () => {
  const send = (x: number[], headers: Record<string, string> = {}) =>
    millrace.predict('echo', { input: { x } }, { prefer: 'wait=10', ...headers });
  const status = async (x: number[], cacheControl: string) =>
    (await send(x, { 'cache-control': cacheControl })).headers.get('cache-status');

  test('Cache-Control', async () => {
    expect(await status([7, 1], 'no-store')).toBe('millrace; fwd=bypass');
    const unknown = await send([7, 1], { 'cache-control': 'only-if-cached' });
    expect([unknown.status, unknown.body.code]).toEqual([504, 'not_cached']);
    expect(await status([7, 1], 'max-age=60')).toMatch(/^millrace; fwd=miss; stored; key="[0-9a-f]{8}"$/);
    await expect.poll(() => status([7, 1], 'only-if-cached')).toMatch(/^millrace; hit; ttl=\d+; key="[0-9a-f]{8}"$/);
    expect(await status([7, 1], 'max-age=60')).toMatch(/^millrace; hit/);
    expect(await status([7, 1], 'no-cache')).toMatch(/^millrace; fwd=request; stored; key="[0-9a-f]{8}"$/);
  });

  // An ended flight stays for some seconds, and a request that follows the flight has a result of that age.
  test('a max-age of a few seconds returns no older result', async () => {
    expect(await status([7, 9], 'max-age=0')).toMatch(/^millrace; fwd=request; stored/);
    await expect.poll(() => status([7, 9], 'only-if-cached')).toMatch(/^millrace; hit/);
    expect(await status([7, 9], 'max-age=4')).toMatch(/^millrace; hit/);
    expect(await status([7, 9], 'max-age=0')).toMatch(/^millrace; fwd=request; stored/);
    const rows = { inputs: [{ x: [7, 9] }, { x: [7, 10] }] };
    const partial = await millrace.predict('echo', rows, { prefer: 'wait=10', 'cache-control': 'max-age=4' });
    expect(partial.headers.get('cache-status')).toBe('millrace; fwd=partial; stored');
  });

  test('ETag and If-None-Match', async () => {
    const { body } = await send([7, 2]);
    const path = `/v1/predictions/${body.id}`;
    const etag = (await millrace.request(path)).headers.get('etag') as string;
    const ifNone = (value: string) => millrace.request(path, { headers: { 'if-none-match': value } });
    expect((await ifNone(etag)).status).toBe(304);
    expect((await ifNone(`"other", ${etag.slice(2)}`)).status).toBe(304);
    expect((await ifNone('*')).status).toBe(304);
    expect((await ifNone('"other"')).status).toBe(200);
  });

  test('a purge', async () => {
    await send([7, 3]);
    await expect.poll(() => status([7, 3], 'only-if-cached')).toMatch(/^millrace; hit/);
    expect((await millrace.request('/v1/models/echo/cache', { method: 'DELETE' })).status).toBe(204);
    expect(await status([7, 3], '')).toMatch(/^millrace; fwd=miss; stored; key="[0-9a-f]{8}"$/);
    expect((await millrace.request('/v1/models/ecko/cache', { method: 'DELETE' })).body.suggestions).toEqual(['echo']);
  });

  test('Prefer', async () => {
    const applied = async (prefer: string) => (await send([7, 4], { prefer })).headers.get('preference-applied');
    expect(await applied('wait=10')).toBe('wait=10');
    expect(await applied('wait=100')).toBe('wait=60');
    expect(await applied('respond-async')).toBe('respond-async');
    expect(await applied('respond-async, wait=10')).toBe('respond-async, wait=10');
    for (const ignored of [
      'wait=1.5',
      'wait=abc',
      'wait',
      'wait=',
      'wait=-1',
      'wait=1e1',
      'wait=0',
      'wait=abc, wait=5',
    ])
      expect(await applied(ignored), ignored).toBe(null);
    expect(await applied('handling=strict; x=1, wait="5"')).toBe('wait=5');
    expect(await applied('return=minimal')).toBe(null);
  });
});

describe('aliases', () => {
  const alias = (name: string, method: string, body?: unknown) =>
    millrace.request(`/v1/models/echo/aliases/${name}`, { method, ...(body ? { body } : {}) });

  test('point to a version until they are removed', async () => {
    expect((await alias('beta', 'PUT', { version: '1' })).body.aliases).toEqual({ beta: '1' });
    const pinned = await millrace.request('/v1/models/echo/versions/beta/predictions', {
      body: { input },
      headers: { prefer: 'wait=10' },
    });
    expect(pinned.body).toMatchObject({ version: '1', status: 'succeeded' });
    expect((await alias('beta', 'DELETE')).status).toBe(204);
    expect((await alias('beta', 'DELETE')).body.code).toBe('alias_not_found');
    expect((await alias('beta', 'PUT', { version: '9' })).body.code).toBe('version_not_found');
    expect((await alias('1', 'PUT', { version: '1' })).body.code).toBe('alias_conflict');
    expect((await alias('no good', 'PUT', { version: '1' })).status).toBe(400);
  });
});

describe('the list', () => {
  test('is newest first, in pages that new predictions do not shift', async () => {
    const make = (at: number) => millrace.predict('echo', { input, metadata: { at: `${at}` } });
    const made: string[] = [];
    for (let at = 0; at < 7; at += 1) made.unshift((await make(at)).body.id);
    const list = (query: string) => millrace.request(`/v1/predictions?model=echo&status=succeeded&${query}`);
    await expect.poll(async () => (await list('limit=100')).text).toContain(made[0]);
    const seen: string[] = [];
    let next: string | null = null;
    do {
      const page = await list(`limit=3${next ? `&cursor=${next}` : ''}`);
      seen.push(...page.body.data.map(({ id }: { id: string }) => id));
      next = page.body.next;
      if (next) expect(page.headers.get('link')).toContain(encodeURIComponent(next));
      await make(100);
    } while (next);
    expect(seen.slice(0, 7)).toEqual(made);
    expect(new Set(seen).size).toBe(seen.length);
    const first = await list('limit=1');
    const other = await millrace.request(`/v1/predictions?cursor=${first.body.next}`);
    expect([other.status, other.body.code]).toEqual([400, 'invalid_cursor']);
    expect((await list('limit=0')).status).toBe(400);
    expect((await list('limit=101')).status).toBe(200);
  });
});

describe('metrics', () => {
  test('count requests and cache look-ups, and measure the delay of the event loop', async () => {
    const { text } = await millrace.request('/metrics');
    expect(text).toMatch(
      /^millrace_http_request_seconds_count\{method="POST",route="\/v1\/models\/:model\/predictions",status="200"\} \d+$/m,
    );
    expect(text).toMatch(/^millrace_cache_answers_total\{model="echo",result="hit"\} \d+$/m);
    expect(text).toMatch(/^nodejs_eventloop_lag_p99_seconds /m);
  });
});

test('when a waiting client disconnects, its prediction leaves the queue', async () => {
  await millrace.stopWorkers('stop');
  const { promise, resolve } = Promise.withResolvers<void>();
  const call = request(`${millrace.url}${PATH}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'wait=30' },
  });
  call.on('error', () => resolve());
  call.end(JSON.stringify({ input: { x: [9, 9] } }));
  await expect
    .poll(async () => (await millrace.request('/metrics')).text)
    .toMatch(/^millrace_queue_waiting\{model="echo"\} 1$/m);
  call.destroy();
  await promise;
  await expect
    .poll(async () => (await millrace.request('/metrics')).text)
    .toMatch(/^millrace_queue_waiting\{model="echo"\} 0$/m);
});

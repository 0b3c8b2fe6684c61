import { once } from 'node:events';
import http from 'node:http';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { useMillrace } from '../support/millrace.ts';
import { makeModelFolder } from '../support/model-folder.ts';
import { untilCached } from '../support/until-cached.ts';

const MODELS = ['rows', 'echo', 'image'] as const;
let remove: () => Promise<void>;
const millrace = useMillrace(async () => {
  const folder = await makeModelFolder(MODELS);
  remove = folder.remove;
  return { modelsDir: folder.dir, models: MODELS };
});
afterAll(() => remove());

const get = async (path: string) => {
  const reply = await fetch(millrace.url + path);
  // biome-ignore lint/suspicious/noExplicitAny: the tests check the members of a body.
  return { status: reply.status, body: (await reply.json()) as any };
};

async function infer(path: string, body: unknown, headers: Record<string, string> = {}) {
  const reply = await fetch(`${millrace.url}/v2/models/${path}/infer`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: body instanceof Uint8Array ? new Uint8Array(body) : JSON.stringify(body),
  });
  const bytes = Buffer.from(await reply.arrayBuffer());
  const length = Number(reply.headers.get('inference-header-content-length') ?? bytes.length);
  return {
    status: reply.status,
    cache: reply.headers.get('cache-status'),
    json: JSON.parse(bytes.toString('utf8', 0, length)),
    rest: bytes.subarray(length),
  };
}

/** Sends a body without Content-Length, in chunks of this many bytes. */
async function inferInPieces(body: Buffer, headerLength: number, bytes: number) {
  const request = http.request(`${millrace.url}/v2/models/image/infer`, {
    method: 'POST',
    headers: { 'inference-header-content-length': headerLength, 'transfer-encoding': 'chunked' },
  });
  // The server may refuse the body before its end.
  request.on('error', () => {});
  for (let at = 0; at < body.length; at += bytes) request.write(body.subarray(at, at + bytes));
  request.end();
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  const pieces: Buffer[] = [];
  for await (const piece of response) pieces.push(piece as Buffer);
  const rest = Buffer.concat(pieces);
  return {
    status: response.statusCode,
    rest: rest.subarray(Number(response.headers['inference-header-content-length'] ?? 0)),
  };
}

const rowsInput = (data: unknown, shape: number[]) => ({ name: 'x', shape, datatype: 'FP32', data });

describe('metadata and health', () => {
  test('server and model return their metadata', async () => {
    expect((await get('/v2')).body).toMatchObject({
      name: 'millrace',
      extensions: expect.arrayContaining(['binary_tensor_data']),
    });
    expect((await get('/v2/health/live')).status).toBe(200);
    expect((await get('/v2/health/ready')).body).toEqual({ ready: true });
    const metadata = async () => (await get('/v2/models/rows')).body;
    // A worker reports its providers every few seconds.
    await vi.waitFor(async () => expect((await metadata()).parameters.execution_providers).not.toEqual([]), {
      timeout: 60_000,
    });
    expect(await metadata()).toEqual({
      name: 'rows',
      versions: ['1'],
      platform: 'onnxruntime_onnx',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 2] }],
      parameters: { execution_providers: ['cpu'] },
    });
    expect((await get('/v2/models/rows/versions/1/ready')).status).toBe(200);
  });

  test('an unknown model returns 404 in the form of the protocol', async () => {
    expect(await get('/v2/models/row')).toEqual({ status: 404, body: { error: "There is no model 'row'." } });
    expect((await get('/v2/models/rows/versions/7')).status).toBe(404);
    expect((await get('/v2/nothing')).status).toBe(404);
  });
});

describe('infer', () => {
  test('a method that a path does not take returns 405 with the methods of the path', async () => {
    const response = await fetch(`${millrace.url}/v2/health/live`, { method: 'DELETE' });
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    expect(await response.json()).toEqual({ error: 'there is no DELETE /v2/health/live: the path takes GET and HEAD' });
  });

  test('accepts nested and flat JSON and returns the id', async () => {
    const flat = await infer('rows', { id: 'a1', inputs: [rowsInput([1, 2, 3, 4], [2, 2])] });
    expect(flat.status).toBe(200);
    expect(flat.json).toEqual({
      model_name: 'rows',
      model_version: '1',
      id: 'a1',
      outputs: [{ name: 'y', datatype: 'FP32', shape: [2, 2], data: [5, 0, 11, 0] }],
    });
    const nested = await infer('rows/versions/1', {
      inputs: [
        rowsInput(
          [
            [1, 2],
            [3, 4],
          ],
          [2, 2],
        ),
      ],
    });
    expect(nested.json.outputs).toEqual(flat.json.outputs);
    // The result was computed a moment ago: the response comes from the cache, or from the flight while the result is
    // being cached.
    expect(nested.cache).toMatch(/hit|collapsed/);
  });

  test('uses cached rows of /v1 and computes only the other rows', async () => {
    const known = { input: { x: [[50, 60]] } };
    await millrace.predict('rows', known, { prefer: 'wait=10' });
    await untilCached(millrace, 'rows', known);
    const partly = await infer('rows', { inputs: [rowsInput([50, 60, 70, 80], [2, 2])] });
    expect(partly.cache).toMatch(/fwd=partial/);
    expect(partly.json.outputs[0].data).toEqual([170, 0, 230, 0]);
  });

  test('accepts and returns binary tensors', async () => {
    const data = new Float32Array([7, 8, 9, 10]);
    const header = Buffer.from(
      JSON.stringify({
        inputs: [{ name: 'x', shape: [2, 2], datatype: 'FP32', parameters: { binary_data_size: 16 } }],
        outputs: [{ name: 'y', parameters: { binary_data: true } }],
      }),
    );
    const body = Buffer.concat([header, Buffer.from(data.buffer)]);
    const reply = await infer('rows', body, {
      'content-type': 'application/octet-stream',
      'inference-header-content-length': String(header.length),
    });
    expect(reply.status).toBe(200);
    expect(reply.json.outputs).toEqual([
      { name: 'y', datatype: 'FP32', shape: [2, 2], parameters: { binary_data_size: 16 } },
    ]);
    expect([...new Float32Array(new Uint8Array(reply.rest).buffer)]).toEqual([23, 0, 29, 0]);
  });

  test('a long binary tensor is the same tensor in any pieces, and a wrong length is refused', {
    timeout: 180_000,
  }, async () => {
    const shape = [1, 150, 150, 1];
    const data = Float32Array.from({ length: 22_500 }, (_, at) => at + 1 / 3);
    const tensor = Buffer.from(data.buffer);
    const header = Buffer.from(
      JSON.stringify({
        parameters: { binary_data_output: true },
        inputs: [{ name: 'x', shape, datatype: 'FP32', parameters: { binary_data_size: tensor.length } }],
      }),
    );
    const body = Buffer.concat([header, tensor]);
    const whole = await infer('image', body, { 'inference-header-content-length': String(header.length) });
    expect([whole.status, whole.rest.equals(tensor)]).toEqual([200, true]);
    for (const [at, piece] of [body.length, 40_000, 1_001, 101].entries()) {
      body[body.length - 1] = 0x40 + at;
      const reply = await inferInPieces(body, header.length, piece);
      expect([reply.status, reply.rest.equals(body.subarray(header.length))]).toEqual([200, true]);
    }
    const short = await inferInPieces(body.subarray(0, body.length - 4), header.length, 40_000);
    expect([short.status, short.rest.toString()]).toEqual([400, expect.stringMatching(/binary_data_size/)]);
    const long = await inferInPieces(Buffer.alloc(millrace.config.bodyLimit + 1), 2, 1_048_576);
    expect(long.status).toBe(413);
  });

  test('returns int64 values above 2^53 exactly in binary form', async () => {
    const value = 9_007_199_254_740_993n;
    const header = Buffer.from(
      JSON.stringify({
        parameters: { binary_data_output: true },
        inputs: [{ name: 'x', shape: [2], datatype: 'INT64', parameters: { binary_data_size: 16 } }],
      }),
    );
    const numbers = Buffer.from(new BigInt64Array([value, -value]).buffer);
    const reply = await infer('echo', Buffer.concat([header, numbers]), {
      'inference-header-content-length': String(header.length),
    });
    expect(reply.rest.equals(numbers)).toBe(true);
  });

  test('accepts priority and timeout in the form of Triton', async () => {
    const reply = await infer('rows', {
      parameters: { priority: 1, timeout: 5_000_000 },
      inputs: [rowsInput([0.5, 0.5], [1, 2])],
    });
    expect(reply.json.outputs[0].data).toEqual([1.5, 0]);
    const refused = await infer('rows', { parameters: { priority: -1 }, inputs: [rowsInput([0, 0], [1, 2])] });
    expect(refused.status).toBe(400);
  });

  test.each([
    ['no inputs', {}, /inputs/],
    ['an unknown datatype', { inputs: [{ name: 'x', shape: [1, 2], datatype: 'FP31', data: [1, 2] }] }, /FP31/],
    [
      'a type that differs from the model',
      { inputs: [{ name: 'x', shape: [1, 2], datatype: 'INT32', data: [1, 2] }] },
      /float32.*; got int32\./,
    ],
    ['an unknown input', { inputs: [{ name: 'z', shape: [1, 2], datatype: 'FP32', data: [1, 2] }] }, /"z"/],
    ['too few elements', { inputs: [rowsInput([1, 2, 3], [2, 2])] }, /4/],
    ['an unknown output', { inputs: [rowsInput([1, 2], [1, 2])], outputs: [{ name: 'q' }] }, /'q'/],
    [
      'an unsupported extension',
      { inputs: [rowsInput([1, 2], [1, 2])], outputs: [{ name: 'y', parameters: { classification: 2 } }] },
      /output 'y'.*classification/,
    ],
    [
      'shared memory',
      { inputs: [{ name: 'x', shape: [1, 2], datatype: 'FP32', parameters: { shared_memory_region: 'r' } }] },
      /input 'x'.*shared_memory_region/,
    ],
    [
      'missing bytes',
      { inputs: [{ name: 'x', shape: [1, 2], datatype: 'FP32', parameters: { binary_data_size: 8 } }] },
      /binary_data_size/,
    ],
  ])('%s returns 400 with the reason', async (_name, body, message) => {
    const reply = await infer('rows', body);
    expect(reply.status).toBe(400);
    expect(reply.json.error).toMatch(message);
  });
});

test('JSON that would block the event loop is refused', async () => {
  const count = millrace.config.jsonLimit / 2;
  const data = Array.from({ length: count }, () => 1);
  const input = { name: 'x', shape: [count / 2, 2], datatype: 'FP32' };
  const refused = await infer('rows', { inputs: [{ ...input, data }] });
  expect(refused.status).toBe(413);
  expect(refused.json.error).toMatch(/JSON has more than \d+ bytes: .*binary/);
});

describe('repository and statistics', () => {
  test('inferences are counted, with separate counts of hits', async () => {
    const input = { inputs: [rowsInput([1.25, 2.5], [1, 2])] };
    const before = (await get('/v2/models/rows/versions/1/stats')).body.model_stats[0];
    await infer('rows', input);
    await vi.waitFor(async () => expect((await infer('rows', input)).cache).toContain('hit'), { timeout: 60_000 });
    const after = (await get('/v2/models/rows/stats')).body.model_stats[0];
    expect(after.inference_stats.cache_miss.count).toBeGreaterThan(before.inference_stats.cache_miss.count);
    expect(after.inference_stats.cache_hit.count).toBeGreaterThan(before.inference_stats.cache_hit.count);
    expect(after.inference_stats.success.ns).toBeGreaterThan(before.inference_stats.success.ns);
  });

  test('a model is unloaded and loaded again', async () => {
    const post = (path: string) => fetch(`${millrace.url}/v2/repository/${path}`, { method: 'POST' });
    const index = async () => (await (await post('index')).json()) as { name: string; state: string }[];
    expect(await index()).toContainEqual({ name: 'echo', version: '1', state: 'READY', reason: '' });
    expect((await post('models/echo/unload')).status).toBe(200);
    await vi.waitFor(async () => expect((await get('/v2/models/echo/ready')).status).toBe(503), { timeout: 60_000 });
    const refused = await infer('echo', { inputs: [{ name: 'x', shape: [2], datatype: 'INT64', data: [1, 2] }] });
    expect(refused.status).toBe(503);
    expect((await post('models/echo/load')).status).toBe(200);
    await vi.waitFor(async () => expect((await get('/v2/models/echo/ready')).status).toBe(200), { timeout: 60_000 });
    const served = await infer('echo', { inputs: [{ name: 'x', shape: [2], datatype: 'INT64', data: [1, 2] }] });
    expect(served.json.outputs[0].data).toEqual([1, 2]);
    expect((await post('models/nothing/load')).status).toBe(404);
    const withConfig = JSON.stringify({ parameters: { config: '{"max_batch_size": 4}' } });
    const own = await fetch(`${millrace.url}/v2/repository/models/echo/load`, { method: 'POST', body: withConfig });
    expect([own.status, ((await own.json()) as { error: string }).error]).toEqual([
      400,
      expect.stringContaining("'config'"),
    ]);
  });
});

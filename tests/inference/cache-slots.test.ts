/** Tests large tensors of waiting callers in the cache Redis, as where API and workers share no machine. */
import { shardOf } from '@millrace/shared/predictions/ids';
import { publicId } from '@millrace/shared/predictions/public-ids';
import type { Connection } from '@millrace/shared/redis/connection';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { CacheSlotWriter } from '../../apps/api/src/queue/cache-slot-writer.ts';
import { watchLooks } from '../support/after-look.ts';
import { useMillrace } from '../support/millrace.ts';
import { makeModelFolder } from '../support/model-folder.ts';
import { type OwnRedis, startOwnRedis } from '../support/own-redis.ts';
import { taskInLedger } from '../support/task-in-ledger.ts';
import { connectTestRedis, keysOf } from '../support/test-redis.ts';

const MODEL = 'image';
/** y = the largest number of a matrix of 4 MiB. Its results are cached. */
const PEAK = 'peak';
const SHAPE = [1, 150, 150, 1];
const COUNT = 22_500;
const BYTES = 4 * COUNT;

/** The default limits refuse 12 MB of JSON. */
const LARGE = { BODY_LIMIT: '33554432', JSON_LIMIT: '33554432', MAX_STRING_LENGTH: '33554432' };

let server: OwnRedis;
let cache: Redis;
let redis: Connection;
/** Subscribes like a worker of another version or machine. */
let other: Connection;
let folder: Awaited<ReturnType<typeof makeModelFolder>>;
afterEach(() => other.unsubscribe());
// The last hook of a file runs first: Millrace is closed before the cache Redis stops.
afterAll(async () => {
  for (const connection of [redis, other, cache]) connection.disconnect();
  await server.stop();
  await folder.remove();
});

const millrace = useMillrace(async () => {
  server = await startOwnRedis(['maxmemory 128mb', 'maxmemory-policy allkeys-lfu', 'appendonly no']);
  folder = await makeModelFolder([MODEL, PEAK]);
  // Without shared memory, the API places no row in a file.
  return {
    modelsDir: folder.dir,
    models: [MODEL, PEAK],
    env: { CACHE_REDIS_URL: server.url, SLOT_MEMORY: '0', ...LARGE },
  };
});
beforeAll(async () => {
  redis = connectTestRedis();
  other = connectTestRedis();
  cache = new Redis(server.url);
});
const afterLook = watchLooks();

const slots = (): Promise<string[]> => keysOf(cache, millrace.keys.slot(''));

let round = 0;
const base64Of = (start: number): string =>
  Buffer.from(Float32Array.from({ length: COUNT }, (_, at) => at + start).buffer).toString('base64');

function input() {
  round += 1;
  return { x: { shape: SHAPE, base64: base64Of(round / 8) } };
}

const predict = (given: unknown, prefer = 'wait=30') => millrace.predict(MODEL, { input: given }, { prefer });
const isRight = (output: { y: { data: number[] } }) =>
  output.y.data.length === COUNT && output.y.data.every((value, at) => value === at + round / 8);

/** The id and the bytes of the live state of the only open prediction. */
async function waiting(): Promise<{ id: string; bytes: number }> {
  const prefix = `${millrace.keys.tag(shardOf(MODEL))}p:`;
  const open = async () => {
    const keys = await keysOf(redis, prefix);
    const states = await Promise.all(keys.map((key) => redis.getBuffer(key)));
    return keys.flatMap((key, at) => {
      const state = states[at];
      return state && state[10] === 0x71
        ? [{ id: publicId('pred', key.slice(prefix.length)), bytes: state.length }]
        : [];
    });
  };
  await expect.poll(async () => (await open()).length).toBe(1);
  const [found = { id: '', bytes: 0 }] = await open();
  return found;
}

beforeEach(async () => {
  if (millrace.workers.length === 0) await millrace.startWorker();
  await afterLook();
});

/** Whether the prediction succeeds with its tensor, also when a busy machine needs longer than the wait of the caller. */
async function isComputed(id: string): Promise<boolean> {
  let output: unknown;
  await expect
    .poll(
      async () => {
        const { body } = await millrace.request(`/v1/predictions/${id}?wait=5`);
        output = body.output;
        return body.status;
      },
      { timeout: 60_000 },
    )
    .toBe('succeeded');
  return isRight(output as { y: { data: number[] } });
}

const stop = () => millrace.workers[0]?.signal('SIGSTOP');
const resume = () => millrace.workers[0]?.signal('SIGCONT');

test('a large tensor of a waiting caller is in the cache Redis until its result is delivered', async () => {
  stop();
  const response = predict(input());
  const { id, bytes } = await waiting();
  expect(bytes).toBeLessThan(1_000);
  const [slot = '', ...more] = await slots();
  expect(more).toEqual([]);
  expect(await cache.strlen(slot)).toBeGreaterThan(BYTES);
  expect(await cache.pttl(slot)).toBeGreaterThan(50_000);
  expect(await cache.pttl(slot)).toBeLessThanOrEqual(600_000);
  resume();
  await response;
  expect(await isComputed(id)).toBe(true);
  await expect.poll(slots).toEqual([]);
});

test('a worker that starts later reads the row', async () => {
  stop();
  const response = predict(input());
  const { id } = await waiting();
  await millrace.stopWorkers('kill');
  await millrace.startWorker();
  await response;
  expect(await isComputed(id)).toBe(true);
});

test('the input of a waiting prediction is shown', async () => {
  stop();
  const response = predict(input());
  const { id } = await waiting();
  const { body } = await millrace.request(`/v1/predictions/${id}?include=input`);
  expect(body.input.x).toMatchObject({ shape: SHAPE, base64: base64Of(round / 8) });
  resume();
  await response;
});

test('a canceled prediction is recorded with its tensor, and runs again', async () => {
  stop();
  const response = predict(input());
  const { id } = await waiting();
  await millrace.request(`/v1/predictions/${id}/cancel`, { method: 'POST' });
  resume();
  expect((await response).body.status).toBe('canceled');
  await expect.poll(async () => (await taskInLedger(millrace, id)).length, { timeout: 20_000 }).toBeGreaterThan(BYTES);
  expect((await millrace.request(`/v1/predictions/${id}/retry`, { method: 'POST' })).status).toBe(202);
  expect(await isComputed(id)).toBe(true);
});

test('the row of a caller that disconnects is in the cache Redis for a minute longer, for the ledger', async () => {
  stop();
  const url = `${millrace.url}/v1/models/${MODEL}/predictions`;
  const caller = new AbortController();
  const headers = { 'content-type': 'application/json', prefer: 'wait=30' };
  const body = JSON.stringify({ input: input() });
  const response = fetch(url, { method: 'POST', headers, body, signal: caller.signal });
  await waiting();
  caller.abort();
  await expect(response).rejects.toThrow();
  const [slot = ''] = await slots();
  await expect.poll(() => cache.pttl(slot)).toBeLessThanOrEqual(60_000);
  expect(await cache.pttl(slot)).toBeGreaterThan(30_000);
  resume();
});

test('a caller that stops waiting gets its result from the row, and the ledger has the tensor', async () => {
  stop();
  const { status, body } = await predict(input(), 'wait=1');
  expect([status, (await slots()).length > 0]).toEqual([202, true]);
  expect((await taskInLedger(millrace, body.id)).length).toBeGreaterThan(BYTES);
  resume();
  expect(await isComputed(body.id)).toBe(true);
});

test('a promise whose row is gone is restored from the ledger', async () => {
  stop();
  const { body } = await predict(input(), 'wait=1');
  await cache.flushall();
  resume();
  expect(await isComputed(body.id)).toBe(true);
});

test('beside a worker that does not read these slots, the tensor goes through the queue Redis', async () => {
  const { keys } = millrace;
  await other.subscribe(keys.registryChannel(), keys.bytesChannel(), keys.liftChannel());
  await afterLook();
  stop();
  const response = predict(input());
  const { id, bytes } = await waiting();
  expect(bytes).toBeGreaterThan(BYTES);
  resume();
  await response;
  expect(await isComputed(id)).toBe(true);
});

/** Rows of 4 MiB. The largest number of each row is its number. */
function matrices(numbers: readonly number[]) {
  const rows = numbers.map((number) => new Float32Array(1_024 * 1_024).fill(number));
  const base64 = Buffer.concat(rows.map((row) => Buffer.from(row.buffer))).toString('base64');
  return { x: { shape: [numbers.length, 1_024, 1_024], base64 } };
}

/** Lets the API use the cache Redis also after the loss of a row. */
const forgive = () => vi.spyOn(CacheSlotWriter.prototype, 'lost').mockImplementation(() => {});

test('equal inputs of two callers whose rows are gone have their result', async () => {
  forgive();
  stop();
  const responses = [1, 2].map(() => millrace.predict(PEAK, { input: matrices([41]) }, { prefer: 'wait=30' }));
  await expect.poll(async () => (await slots()).length).toBe(2);
  await cache.flushall();
  resume();
  for (const { body } of await Promise.all(responses)) expect(body.output.y.data).toEqual([41]);
});

test('a prediction of several rows, of which one is gone, has the outputs of all rows', async () => {
  forgive();
  stop();
  const response = millrace.predict(PEAK, { input: matrices([51, 52, 53]) }, { prefer: 'wait=30' });
  await expect.poll(async () => (await slots()).length).toBe(3);
  await cache.del((await slots())[0] ?? '');
  resume();
  expect((await response).body.output.y.data).toEqual([51, 52, 53]);
});

const connections = async (name: string): Promise<number> =>
  String(await cache.client('LIST'))
    .split('\n')
    .filter((line) => line.includes(`name=${name} `)).length;

/** The largest number of a matrix, by `/v2` in binary. */
async function inferPeak(number: number): Promise<number> {
  const body = Buffer.from(new Float32Array(1_024 * 1_024).fill(number).buffer);
  const head = JSON.stringify({
    inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 1_024, 1_024], parameters: { binary_data_size: body.length } }],
  });
  const response = await fetch(`${millrace.url}/v2/models/${PEAK}/infer`, {
    method: 'POST',
    headers: { 'inference-header-content-length': String(Buffer.byteLength(head)) },
    body: Buffer.concat([Buffer.from(head), body]),
  });
  return ((await response.json()) as { outputs: { data: number[] }[] }).outputs[0]?.data[0] ?? Number.NaN;
}

test('a write that timed out is sent again on the next connection, and every caller has the right result', async () => {
  forgive();
  await cache.call('CLIENT', 'PAUSE', '60000', 'WRITE');
  const [binary, first] = await Promise.all([
    inferPeak(60),
    millrace.predict(PEAK, { input: matrices([61]) }, { prefer: 'wait=30' }),
  ]);
  expect([binary, first.body.output.y.data]).toEqual([60, [61]]);
  await cache.call('CLIENT', 'KILL', 'TYPE', 'NORMAL', 'SKIPME', 'YES');
  await expect.poll(() => connections('millrace-api-cache-large'), { timeout: 20_000 }).toBe(1);
  await cache.call('CLIENT', 'UNPAUSE');
  const second = await millrace.predict(PEAK, { input: matrices([62]) }, { prefer: 'wait=30' });
  expect(second.body.output.y.data).toEqual([62]);
  await expect.poll(slots).toEqual([]);
});

test('a prediction whose row is gone is submitted again with its tensor, and the next tensor goes through the queue Redis', async () => {
  vi.mocked(CacheSlotWriter.prototype.lost).mockRestore();
  stop();
  const response = predict(input());
  const { id } = await waiting();
  await cache.flushall();
  resume();
  await response;
  expect(await isComputed(id)).toBe(true);
  stop();
  const next = predict(input());
  const second = await waiting();
  expect(second.bytes).toBeGreaterThan(BYTES);
  resume();
  await next;
  expect(await isComputed(second.id)).toBe(true);
});

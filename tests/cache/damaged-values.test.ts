import type { Connection } from '@millrace/shared/redis/connection';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { useSmallModels } from '../support/small-models.ts';
import { connectTestRedis, keysOf } from '../support/test-redis.ts';
import { readMetric } from '../support/worker-process.ts';

const millrace = useSmallModels(['echo']);

let redis: Connection;
beforeAll(() => {
  redis = connectTestRedis();
});
afterAll(() => redis.disconnect());

const predict = (x: number[], cacheControl = '') =>
  millrace.predict('echo', { input: { x } }, { prefer: 'wait=30', 'cache-control': cacheControl });
const damaged = () => readMetric(`${millrace.url}/metrics`, 'millrace_cache_damaged_total', 'kind="result"');

/** The names of earlier tests: a result that is computed again can be written after its test. */
const known = new Set<string>();

/** Computes a prediction whose result is cached. Returns the name and the bytes of the cached value. */
async function cached(x: number[]): Promise<{ name: string; value: Buffer }> {
  const resultNames = () => keysOf(redis, millrace.keys.result(''));
  for (const name of await resultNames()) known.add(name);
  await predict(x);
  const added = async () => (await resultNames()).filter((name) => !known.has(name));
  await expect.poll(async () => (await added()).length).toBe(1);
  const [name = ''] = await added();
  known.add(name);
  return { name, value: (await redis.getBuffer(name)) as Buffer };
}

describe('a damaged cached result', () => {
  test('of any length is a miss, and is counted and deleted', async () => {
    const { name, value } = await cached([1, 1]);
    const right = (await predict([1, 1])).body.output;
    // An empty value equals a missing value: Redis replies the same for both, and the next result replaces the value.
    const lengths = Array.from({ length: 64 }, (_, at) => Math.max(1, Math.floor((at * value.length) / 64)));
    const before = await damaged();
    for (const length of lengths) {
      await redis.set(name, value.subarray(0, length));
      const response = await predict([1, 1], 'only-if-cached');
      expect([length, response.status, response.body.code]).toEqual([length, 504, 'not_cached']);
      await expect.poll(() => redis.exists(name)).toBe(0);
    }
    expect((await damaged()) - before).toBe(lengths.length);
    await redis.set(name, value.subarray(0, value.length - 1));
    const response = await predict([1, 1]);
    expect([response.status, response.body.output]).toEqual([200, right]);
    expect(response.headers.get('cache-status')).toMatch(/^millrace; fwd=miss; /);
  });

  test('with a changed byte or under a wrong key is a miss', async () => {
    const { name, value } = await cached([2, 1]);
    for (let at = 0; at < value.length; at += 7) {
      const flipped = Buffer.from(value);
      flipped[at] = (flipped[at] as number) ^ (1 + (at % 255));
      await redis.set(name, flipped);
      expect([at, (await predict([2, 1], 'only-if-cached')).status]).toEqual([at, 504]);
    }
    await redis.del(name);
    await redis.hset(name, 'a', 'b');
    expect((await predict([2, 1], 'only-if-cached')).status).toBe(504);
    await expect.poll(() => redis.exists(name)).toBe(0);
  });

  test('is never used for a row of a request with many rows', async () => {
    const { name, value } = await cached([3, 1]);
    await redis.set(name, value.subarray(0, 90));
    const response = await millrace.predict('echo', { inputs: [{ x: [3, 1] }, { x: [4, 1] }] }, { prefer: 'wait=30' });
    expect(response.body.outputs).toMatchObject([{ y: { data: [3, 1] } }, { y: { data: [4, 1] } }]);
  });
});

/** Tests that the commands of one turn of the event loop are collected, and that none of them is kept back. */
import { type Connection, isCluster } from '@millrace/shared/redis/connection';
import { writeOnce } from '@millrace/shared/redis/one-write';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testPrefix } from '../support/test-prefix.ts';
import { connectTestRedis } from '../support/test-redis.ts';

let redis: Connection;
const key = `${testPrefix()}:one-write`;

beforeAll(async () => {
  redis = connectTestRedis();
  await redis.ping();
});
afterAll(() => redis.disconnect());

/** The bytes that the socket has collected and not written. */
const collected = () => (isCluster(redis) ? 0 : (redis as Redis).stream.writableLength);

test('commands that later microtasks of a turn send are collected too, and all are run in their order', async () => {
  writeOnce(redis);
  const replies = [redis.rpush(key, 'first')];
  for (let n = 0; n < 20; n += 1) await undefined;
  replies.push(redis.rpush(key, 'second'));
  if (!isCluster(redis)) expect(collected()).toBeGreaterThan(0);
  expect(await Promise.all(replies)).toEqual([1, 2]);
  expect(collected()).toBe(0);
  expect(await redis.lrange(key, 0, -1)).toEqual(['first', 'second']);
  await redis.del(key);
});

test('a connection that is not open yet sends its commands when it opens', async () => {
  const opening = connectTestRedis();
  writeOnce(opening);
  expect(await opening.exists(key)).toBe(0);
  writeOnce(opening);
  writeOnce(opening);
  expect(await opening.exists(key)).toBe(0);
  opening.disconnect();
});

/** Tests the commands of the scripts in the frequent case. The commands decide the cost of a script, and Redis does nothing else meanwhile. */
import { LiveStore } from '@millrace/shared/live/store';
import { keysFor } from '@millrace/shared/redis/keys';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type OwnRedis, startOwnRedis } from '../support/own-redis.ts';
import { testPrefix } from '../support/test-prefix.ts';
import { NOW, newPrediction, SHARD, TARGET } from './live-fixture.ts';

const END = { status: 'succeeded', startedAt: NOW, batchedAt: NOW, inferenceMs: 1, batchSize: 1 } as const;
const keys = keysFor(testPrefix());
let own: OwnRedis;
let redis: Redis;
let live: LiveStore;

beforeAll(async () => {
  own = await startOwnRedis([]);
  redis = new Redis(own.url);
  live = new LiveStore(redis, keys);
});
afterAll(async () => {
  redis.disconnect();
  await own.stop();
});

/** The commands of scripts during `work`, in order, with the kind of their key. */
async function commandsOf(work: () => Promise<unknown>): Promise<string[]> {
  const { promise: seen, resolve } = Promise.withResolvers<void>();
  const names: string[] = [];
  const monitor = await redis.monitor();
  monitor.on('monitor', (_time: string, [name = '', key = '']: string[], source: string) => {
    if (source === 'lua') names.push(`${name.toLowerCase()} ${key.slice(keys.tag(SHARD).length).split(':')[0]}`);
    if (name === 'ping') resolve();
  });
  await work();
  await redis.ping();
  await seen;
  monitor.disconnect();
  return names;
}

test('a prediction without followers needs these commands from its submission to its end', async () => {
  const item = newPrediction({ flight: 'a-flight' });
  const submission = { priority: 'normal', job: `p-${item.id}`, nowMs: NOW } as const;
  expect(await commandsOf(() => live.submit(TARGET, submission, [item]))).toEqual([
    ...['hget n', 'set f', 'set p', 'hincrby n', 'publish bell', 'hmget n'],
  ]);
  const take = () => live.take(SHARD, [item.id], { worker: 'w1', maxAttempts: 4, nowMs: NOW });
  const [taken] = await take();
  if (!taken) throw new Error('The prediction was not taken.');
  const second = newPrediction();
  await live.submit(TARGET, { ...submission, job: `p-${second.id}` }, [second]);
  const takeSecond = () => live.take(SHARD, [second.id], { worker: 'w1', maxAttempts: 4, nowMs: NOW });
  expect(await commandsOf(takeSecond)).toEqual(['getrange p', 'setrange p', 'hincrby n']);
  expect(
    await commandsOf(() => live.finish(SHARD, [{ ...taken, ...END, result: '1' }], { worker: 'w1', nowMs: NOW })),
  ).toEqual(['getrange p', 'set p', 'get f', 'pexpire f', 'xadd ev', 'xadd rec']);
});

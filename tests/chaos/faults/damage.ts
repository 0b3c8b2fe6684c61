/** Damaged data in the two Redis servers, under load. */
import { setTimeout as delay } from 'node:timers/promises';
import { shardOf } from '@millrace/shared/predictions/ids';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import type { Fault } from '../fault.ts';
import { startLoad } from '../load.ts';
import { quick, slow } from '../models.ts';
import type { Random } from '../random.ts';

/** Damages each value in one of several ways. Returns the number of damaged values. */
async function damage(redis: Redis, keys: readonly string[], random: Random): Promise<number> {
  let damaged = 0;
  for (const key of keys) {
    const value = await redis.getBuffer(key).catch(() => null);
    if (value === null || value.length < 2) continue;
    const ways: (() => Promise<unknown>)[] = [
      () => redis.set(key, value.subarray(0, Math.floor(random() * value.length)), 'KEEPTTL'),
      () => redis.set(key, Buffer.from('garbage \u0000\u0007'), 'KEEPTTL'),
      () => redis.multi().del(key).hset(key, 'a', 'b').exec(),
    ];
    await ways[Math.floor(random() * ways.length)]?.();
    damaged += 1;
  }
  return damaged;
}

/** Flips one bit of a value. Only cached values have a checksum. */
async function flip(redis: Redis, key: string, random: Random): Promise<void> {
  const value = await redis.getBuffer(key).catch(() => null);
  if (value === null || value.length === 0) return;
  const at = Math.floor(random() * value.length);
  value[at] = (value[at] as number) ^ (1 << Math.floor(random() * 8));
  await redis.set(key, value, 'KEEPTTL');
}

const KNOWN_INPUTS = 200;

export const damageFaults: Fault[] = [
  {
    name: 'cache-damaged',
    how: 'cached results are cut, overwritten, exchanged for other results, replaced by hashes and get a flipped bit; a new API process then serves 200 repeated inputs',
    stage: { apis: 1 },
    async run({ stage, servers, random, note, expect }) {
      const inputs = Array.from({ length: KNOWN_INPUTS }, () => quick());
      await Promise.all(inputs.map((input) => stage.client.submit(input)));
      const redis = new Redis(servers.cache.directUrl);
      const keys = await redis.keys(`${stage.keys.result('')}*`);
      const quarter = Math.floor(keys.length / 4);
      const damaged = await damage(redis, keys.slice(0, quarter), random);
      for (const key of keys.slice(quarter, 2 * quarter)) await flip(redis, key, random);
      const [first = ''] = keys.slice(-1);
      for (const key of keys.slice(2 * quarter, 3 * quarter)) await redis.copy(first, key, 'REPLACE');
      redis.disconnect();
      // A new process has no results of its own, so that the process reads the damaged values.
      await stage.startApi();
      await stage.apis[0]?.kill();
      const again = await Promise.all(inputs.map((input) => stage.client.submit(input)));
      const wrong = again.filter(({ status }) => status !== 200).length;
      note(
        `${damaged} of ${keys.length} results cut, overwritten or replaced, ${quarter} with a flipped bit, ${quarter} exchanged`,
      );
      expect(keys.length >= KNOWN_INPUTS, `only ${keys.length} results were cached`);
      expect(wrong === 0, `${wrong} of ${again.length} repeated requests had no result`);
      return Date.now();
    },
  },
  {
    name: 'queue-poisoned',
    how: 'a third of the live states is cut, overwritten or replaced by hashes, and unreadable jobs enter the queue, three times under load',
    async run({ stage, random, note, expect }) {
      const load = startLoad(stage.client, random, {
        request: () => slow(5 + random() * 20),
        options: () => ({ mode: random() < 0.5 ? 'wait' : 'async' }),
      });
      const shard = shardOf('slow');
      let damaged = 0;
      for (let round = 0; round < 3; round += 1) {
        await delay(1_500);
        damaged += await stage.withRedis(async (redis) => {
          const queue = new Queue('slow', {
            connection: redis,
            prefix: stage.keys.bull(shard),
            skipVersionCheck: true,
          });
          for (const [at, data] of [null, 'garbage', { v: 1, version: '1', ids: ['x'] }, { v: 0 }].entries())
            await queue.add('predict', data, {
              jobId: `poison-${round}-${at}`,
              priority: 1,
              removeOnFail: { count: 50 },
            });
          const states = await redis.keys(`${stage.keys.tag(shard)}p:*`);
          return damage(
            redis,
            states.filter(() => random() < 1 / 3),
            random,
          );
        });
      }
      const healedAt = Date.now();
      await delay(1_000);
      await load.stop();
      note(`${damaged} live states damaged, 12 unreadable jobs`);
      expect(damaged > 0, 'no live state was damaged');
      return healedAt;
    },
  },
];

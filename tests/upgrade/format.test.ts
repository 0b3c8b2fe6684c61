import { SHARDS } from '@millrace/shared/predictions/ids';
import { type Connection, UnfitRedisError } from '@millrace/shared/redis/connection';
import { claimQueueFormat, QUEUE_FORMAT, watchQueueFormat } from '@millrace/shared/redis/format';
import { type Keys, keysFor } from '@millrace/shared/redis/keys';
import pino from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startApi } from '../../apps/api/src/server.ts';
import { useMillrace } from '../support/millrace.ts';
import { makeModelFolder } from '../support/model-folder.ts';
import { testPrefix } from '../support/test-prefix.ts';
import { connectTestRedis } from '../support/test-redis.ts';
import { startWorkerProcess } from '../support/worker-process.ts';

let redis: Connection;
let keys: Keys;
beforeAll(() => {
  redis = connectTestRedis();
});
afterAll(() => redis.disconnect());
beforeEach(() => {
  keys = keysFor(testPrefix());
});

const shards = Array.from({ length: SHARDS }, (_, shard) => shard);
const markers = () => Promise.all(shards.map((shard) => redis.get(keys.format(shard))));
const sentinels = () => Promise.all(shards.map((shard) => redis.exists(keys.sentinel(shard))));
const setAll = (name: (shard: number) => string, value: string) =>
  Promise.all(shards.map((shard) => redis.set(name(shard), value)));

describe('the format of the queue Redis', () => {
  test('is marked in every shard by any number of processes that start at once', async () => {
    await Promise.all(Array.from({ length: 5 }, () => claimQueueFormat(redis, keys)));
    expect(new Set(await markers())).toEqual(new Set([String(QUEUE_FORMAT)]));
  });

  test('of 0.1.0, without a marker, is accepted unchanged', async () => {
    await setAll(keys.sentinel, '1');
    await claimQueueFormat(redis, keys);
    expect(new Set(await sentinels())).toEqual(new Set([1]));
  });

  test('that is older is migrated: the whole ledger is read, and an interrupted migration is completed', async () => {
    await setAll(keys.sentinel, '1');
    await setAll(keys.format, '0');
    await redis.set(keys.format(3), String(QUEUE_FORMAT));
    await Promise.all([claimQueueFormat(redis, keys), claimQueueFormat(redis, keys)]);
    expect(new Set(await markers())).toEqual(new Set([String(QUEUE_FORMAT)]));
    expect(await sentinels()).toEqual(shards.map((shard) => (shard === 3 ? 1 : 0)));
  });

  test('that cannot be read is marked again', async () => {
    await redis.set(keys.format(0), 'what?');
    await redis.hset(keys.format(1), 'a', 'b');
    await claimQueueFormat(redis, keys);
    expect(new Set(await markers())).toEqual(new Set([String(QUEUE_FORMAT)]));
  });

  test('that is newer in any shard is refused and stays', async () => {
    await redis.set(keys.format(5), String(QUEUE_FORMAT + 1));
    const refusal = await claimQueueFormat(redis, keys).catch((error: Error) => error);
    expect(refusal).toBeInstanceOf(UnfitRedisError);
    expect((refusal as Error).message).toMatch(
      /holds data of format 2, and .* reads formats up to 1: start the version that/,
    );
    expect(await redis.get(keys.format(5))).toBe(String(QUEUE_FORMAT + 1));
  });

  test('is watched: a marker that a flush removed is set again, and a newer marker is reported once', async () => {
    const reports: string[] = [];
    const watch = watchQueueFormat({ redis, keys, onNewer: (sentence) => reports.push(sentence) });
    await watch.check();
    expect(new Set(await markers())).toEqual(new Set([String(QUEUE_FORMAT)]));
    await redis.set(keys.format(0), '7');
    await watch.check();
    await watch.check();
    expect(reports).toEqual([expect.stringContaining('holds data of format 7')]);
    watch.close();
  });
});

describe('processes on a newer format', () => {
  let remove = async () => {};
  const millrace = useMillrace(async () => {
    const folder = await makeModelFolder(['echo']);
    remove = folder.remove;
    return { modelsDir: folder.dir, models: ['echo'] };
  });
  afterAll(() => remove());

  test('do not start, and stop when the data under them becomes newer', async () => {
    const worker = await millrace.startWorker();
    await redis.set(millrace.keys.format(9), '2');
    const sentence = /holds data of format 2/;
    await expect(millrace.api.mustStop).resolves.toMatch(sentence);
    // The API stops by itself with code 1. A later signal changes nothing.
    await expect
      .poll(() =>
        fetch(`${worker.url}/healthz`).then(
          () => 'up',
          () => 'down',
        ),
      )
      .toBe('down');
    expect(await worker.stop()).toBe(1);
    await expect(startWorkerProcess(millrace.env)).rejects.toThrow(sentence);
    await expect(startApi(millrace.config, pino({ level: 'silent' }))).rejects.toThrow(sentence);
    await redis.del(millrace.keys.format(9));
  });
});

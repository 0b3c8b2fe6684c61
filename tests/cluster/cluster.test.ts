/**
 * Tests a Redis Cluster of three masters with a replica each, all of them real servers. `TEST_REDIS=cluster npm test`
 * runs the general tests on a cluster. This file tests the behavior that only a cluster shows.
 */
import { cp } from 'node:fs/promises';
import path from 'node:path';
import { shardOf } from '@millrace/shared/predictions/ids';
import {
  checkQueueRedis,
  connectRedis,
  serversOf,
  UnfitRedisError,
  waitForRedis,
} from '@millrace/shared/redis/connection';
import { memoryUse } from '@millrace/shared/redis/memory-use';
import { Redis } from 'ioredis';
import { afterAll, describe, expect, test } from 'vitest';
import { startTestCluster } from '../services/redis-cluster.ts';
import { type Millrace, useMillrace } from '../support/millrace.ts';
import { makeModelFolder } from '../support/model-folder.ts';

/** Enough models that their shards are on all masters. */
const MODELS = Array.from({ length: 8 }, (_, n) => `rows-${n}`);
/** y = relu(x · [[1, -1], [2, -2]]): each n has a different output. */
const requestOf = (n: number) => ({ input: { x: [[n, 1]] } });
const outputOf = (n: number) => ({ y: { data: [n + 2, 0] } });

const PATIENT = { timeout: 60_000 };

let cluster: Awaited<ReturnType<typeof startTestCluster>>;
let remove = async () => {};
const millrace = useMillrace(async () => {
  cluster = await startTestCluster({ replicas: true });
  const folder = await makeModelFolder(['rows']);
  remove = folder.remove;
  for (const name of MODELS) await cp(path.join(folder.dir, 'rows'), path.join(folder.dir, name), { recursive: true });
  const env = { REDIS_URL: cluster.url, REDIS_CLUSTER: 'true', STORE_TIMEOUT_MS: '2000' };
  return { modelsDir: folder.dir, models: MODELS, env };
});
afterAll(async () => {
  await remove();
  await cluster?.stop();
});

interface Promised {
  n: number;
  id: string;
}

/** Repeats a request with the same Idempotency-Key until the API accepts the request. */
async function accepted({ predict }: Millrace, n: number): Promise<Promised> {
  const model = MODELS[n % MODELS.length] as string;
  for (;;) {
    const { status, body } = await predict(model, requestOf(n), { 'idempotency-key': `n-${n}` });
    if (status === 200 || status === 202) return { n, id: body.id };
    if (status !== 503 && status !== 409 && status !== 429) throw new Error(`${status}: ${JSON.stringify(body)}`);
  }
}

async function expectKept({ request }: Millrace, promised: readonly Promised[]): Promise<void> {
  for (const { n, id } of promised) {
    const end = () => request(`/v1/predictions/${id}?wait=5`);
    await expect.poll(async () => (await end()).body.completed_at, PATIENT).toEqual(expect.any(String));
    expect((await end()).body).toMatchObject({ id, status: 'succeeded', output: outputOf(n) });
  }
}

/** Submits work while `harm` runs, and for a moment before and after. */
async function under(harm: () => Promise<void>, first: number): Promise<Promised[]> {
  const promised: Promised[] = [];
  let over = false;
  let next = first;
  const client = async () => {
    while (!over) {
      next += 1;
      promised.push(await accepted(millrace, next));
    }
  };
  const clients = Array.from({ length: 4 }, client);
  try {
    await expect.poll(() => promised.length, PATIENT).toBeGreaterThan(20);
    await harm();
    const then = promised.length;
    await expect.poll(() => promised.length, PATIENT).toBeGreaterThan(then + 40);
  } finally {
    over = true;
    await Promise.all(clients);
  }
  return promised;
}

describe('a Redis Cluster', () => {
  test('has models on all its masters', async () => {
    const promised = await Promise.all(MODELS.map((_, n) => accepted(millrace, n)));
    await expectKept(millrace, promised);
    for (const { url } of cluster.nodes.slice(0, 3)) {
      const node = new Redis(url);
      expect((await node.keys(`${millrace.config.keyPrefix}:*`)).length).toBeGreaterThan(5);
      node.disconnect();
    }
  }, 120_000);

  test('is refused with the right setting when REDIS_CLUSTER does not match the server', async () => {
    const single = connectRedis(cluster.url, 'producer');
    await waitForRedis(single, 'Redis', 5_000);
    await expect(checkQueueRedis(single)).rejects.toThrow(UnfitRedisError);
    await expect(checkQueueRedis(single)).rejects.toThrow('set REDIS_CLUSTER=true');
    single.disconnect();
  });

  test('refuses work for the models of a full master and accepts work for the other models', async () => {
    const redis = connectRedis(cluster.url, 'blocking', { cluster: true });
    await waitForRedis(redis, 'Redis', 5_000);
    const { servers, serverOf } = await memoryUse(redis, millrace.keys);
    expect(servers).toHaveLength(3);
    const serverOfModel = (model: string) => serverOf[shardOf(model)];
    const [full] = MODELS as [string];
    const other = MODELS.find((model) => serverOfModel(model) !== serverOfModel(full)) as string;
    const node = serversOf(redis)[serverOfModel(full) as number] as Redis;
    const used = Number(/^used_memory:(\d+)/m.exec(await node.info('memory'))?.[1]);
    await node.config('SET', 'maxmemory', Math.round(used / 0.85));
    let n = 500;
    const submit = async (model: string) => {
      n += 1;
      const { status, body } = await millrace.predict(model, requestOf(n), { prefer: 'wait=20' });
      return { status, code: body.code };
    };
    // Memory is measured once per second.
    await expect.poll(() => submit(full), { timeout: 60_000 }).toEqual({ status: 429, code: 'queue_full' });
    expect(await submit(other)).toEqual({ status: 200, code: undefined });
    await node.config('SET', 'maxmemory', '0');
    await expect.poll(() => submit(full), { timeout: 60_000 }).toEqual({ status: 200, code: undefined });
    redis.disconnect();
  }, 60_000);

  test('loses nothing when a worker is killed', async () => {
    const promised = await under(async () => {
      await millrace.stopWorkers('kill');
      await millrace.startWorker();
    }, 1_000);
    await expectKept(millrace, promised);
  }, 120_000);

  test('loses nothing when a master is killed and its replica takes over', async () => {
    const promised = await under(async () => {
      await cluster.nodes[0]?.kill();
      await cluster.nodes[3]?.becomesMaster();
      // REDIS_URL is the address of the killed master.
      const late = connectRedis(cluster.url, 'blocking', { cluster: true });
      await waitForRedis(late, 'Redis', 10_000).finally(() => late.disconnect());
    }, 10_000);
    await expectKept(millrace, promised);
    await cluster.nodes[0]?.start();
    await cluster.whole();
  }, 180_000);

  test('loses nothing when a master and its replica are killed and start again from their files', async () => {
    const promised = await under(async () => {
      await Promise.all([cluster.nodes[1]?.kill(), cluster.nodes[4]?.kill()]);
      await Promise.all([cluster.nodes[1]?.start(), cluster.nodes[4]?.start()]);
      await cluster.whole();
    }, 20_000);
    await expectKept(millrace, promised);
  }, 180_000);
});

/** Outputs that do not fit into the queue Redis together: accepted work is kept, and new work finds room again. */
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type Millrace, startMillrace } from '../support/millrace.ts';
import { makeModelFolder } from '../support/model-folder.ts';
import { type OwnRedis, startOwnRedis } from '../support/own-redis.ts';

const PREDICTIONS = 60;
let server: OwnRedis;
let folder: Awaited<ReturnType<typeof makeModelFolder>>;
let millrace: Millrace;
let redis: Redis;

beforeAll(async () => {
  server = await startOwnRedis(['maxmemory 60mb']);
  redis = new Redis(server.url);
  folder = await makeModelFolder(['large']);
  millrace = await startMillrace({
    modelsDir: folder.dir,
    models: ['large'],
    env: { REDIS_URL: server.url, CACHE_REDIS_URL: inject('redisUrl'), REDIS_CLUSTER: 'false' },
  });
});
afterAll(async () => {
  await millrace?.close();
  redis?.disconnect();
  await server?.stop();
  await folder?.remove();
});

test('60 predictions of 2 MB in 60 MB all succeed', { timeout: 180_000 }, async () => {
  const ids: string[] = [];
  for (let at = 0; at < PREDICTIONS; at += 1) {
    const { status, body } = await millrace.predict(
      'large',
      { input: { x: [[0.1 + at / 1_000_000]] } },
      { prefer: 'respond-async' },
    );
    // What is not accepted is nobody's loss: the client repeats the request.
    if (status === 202) ids.push(body.id);
    else {
      expect([status, body.code]).toEqual([429, 'queue_full']);
      at -= 1;
    }
  }
  for (const id of ids)
    await expect
      .poll(async () => (await fetch(`${millrace.url}/v1/predictions/${id}?wait=5`)).json(), { timeout: 120_000 })
      .toMatchObject({ status: 'succeeded', attempts: 1 });
  const used = Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1]);
  expect(used).toBeLessThan(62 * 1_048_576);
});

test('a prediction can be canceled while Redis has no memory left', async () => {
  await millrace.stopWorkers('stop');
  const { body } = await millrace.predict('large', { input: { x: [[0.7]] } }, { prefer: 'respond-async' });
  await redis.config('SET', 'maxmemory', '1mb');
  const canceled = await millrace.ask(`/v1/predictions/${body.id}/cancel`, { method: 'POST' });
  expect([canceled.status, canceled.body.status]).toEqual([200, 'canceled']);
  const refused = await millrace.predict('large', { input: { x: [[0.8]] } }, { prefer: 'wait=5' });
  expect([refused.status, refused.body.code]).toEqual([429, 'queue_full']);
  expect(refused.body.detail).toContain('memory');
  await redis.config('SET', 'maxmemory', '60mb');
});

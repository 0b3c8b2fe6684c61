/** Tests a Redis Cluster that has lost a slot: real servers, of which no node serves the keys of some models. */
import { cp } from 'node:fs/promises';
import path from 'node:path';
import { shardOf } from '@millrace/shared/predictions/ids';
import { keysFor } from '@millrace/shared/redis/keys';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startTestCluster } from '../services/redis-cluster.ts';
import { useMillrace } from '../support/millrace.ts';
import { makeModelFolder } from '../support/model-folder.ts';

/** The models are on different shards. */
const MODELS = ['rows', 'others'] as const;

let cluster: Awaited<ReturnType<typeof startTestCluster>>;
let remove = async () => {};
const millrace = useMillrace(async () => {
  cluster = await startTestCluster();
  const folder = await makeModelFolder(['rows']);
  remove = folder.remove;
  await cp(path.join(folder.dir, 'rows'), path.join(folder.dir, 'others'), { recursive: true });
  return { modelsDir: folder.dir, models: MODELS, env: { REDIS_URL: cluster.url, REDIS_CLUSTER: 'true' } };
});
let nodes: Redis[] = [];
let owner: Redis;
let slot: number;
beforeAll(async () => {
  nodes = cluster.nodes.map(({ url }) => new Redis(url));
  const key = keysFor(millrace.config.keyPrefix).tag(shardOf('rows'));
  slot = await (nodes[0] as Redis).cluster('KEYSLOT', key);
  for (const node of nodes)
    if (String(await node.set(key, '').catch((error: Error) => error.message)) === 'OK') owner = node;
});
afterEach(async () => {
  await everywhere('cluster-require-full-coverage', 'no');
  await owner.cluster('ADDSLOTS', slot).catch(() => {});
});
afterAll(async () => {
  for (const node of nodes) node.disconnect();
  await remove();
  await cluster?.stop();
});

const everywhere = (name: string, value: string) => Promise.all(nodes.map((node) => node.config('SET', name, value)));

let used = 0;
const predict = (model: string, headers: Record<string, string>) => {
  used += 1;
  return millrace.predict(model, { input: { x: [[used, 9]] } }, headers);
};
const waits = { prefer: 'wait=10' };
const readiness = async (base: string) => {
  const response = await fetch(`${base}/readyz`);
  const body = (await response.json()) as { parts: Record<string, string> };
  return { code: response.status, redis: body.parts.redis };
};
const bases = () => [millrace.url, millrace.workers[0]?.url as string];

describe('a cluster that has lost', () => {
  test('the slot of a model refuses this model with CLUSTERDOWN, serves the other models, and keeps its promises', async () => {
    expect(shardOf('rows')).not.toBe(shardOf('others'));
    expect((await predict('rows', waits)).status).toBe(200);
    millrace.workers[0]?.signal('SIGSTOP');
    const promised = await predict('rows', { prefer: 'respond-async' });
    expect(promised.status).toBe(202);
    await owner.cluster('DELSLOTS', slot);
    millrace.workers[0]?.signal('SIGCONT');
    const refused = await predict('rows', waits);
    expect([refused.status, refused.body.detail]).toEqual([
      503,
      'Redis takes no writes now (CLUSTERDOWN); nothing was accepted.',
    ]);
    expect((await predict('others', waits)).status).toBe(200);
    await owner.cluster('ADDSLOTS', slot);
    await expect.poll(async () => (await predict('rows', waits)).status).toBe(200);
    await expect
      .poll(async () => (await millrace.request(`/v1/predictions/${promised.body.id}?wait=5`)).body.status)
      .toBe('succeeded');
  });

  test('a slot and therefore serves no slot is reported by API and worker', async () => {
    await everywhere('cluster-require-full-coverage', 'yes');
    await Promise.all(nodes.map((node) => node.cluster('DELSLOTS', slot)));
    const sentence = '(REDIS_URL) is a cluster that does not serve this key (CLUSTERDOWN)';
    for (const base of bases())
      await expect.poll(() => readiness(base)).toMatchObject({ code: 503, redis: expect.stringContaining(sentence) });
    const refused = await predict('rows', waits);
    expect([refused.status, refused.body.detail]).toEqual([
      503,
      'Redis takes no writes now (CLUSTERDOWN); nothing was accepted.',
    ]);
    await owner.cluster('ADDSLOTS', slot);
    for (const base of bases()) await expect.poll(() => readiness(base)).toMatchObject({ code: 200, redis: 'ok' });
    for (const model of MODELS) await expect.poll(async () => (await predict(model, waits)).status).toBe(200);
  });
});

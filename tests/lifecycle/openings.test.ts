import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { SHARDS, shardOf } from '@millrace/shared/predictions/ids';
import { publicId } from '@millrace/shared/predictions/public-ids';
import type { Connection } from '@millrace/shared/redis/connection';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { quick, slow, writeModels } from '../chaos/models.ts';
import { seeded } from '../chaos/random.ts';
import { startStallingProxy } from '../postgres/stalling-proxy.ts';
import {
  type Disagreements,
  disagreements,
  type LifecycleDeps,
  playLifecycle,
  playRandomly,
} from '../support/lifecycles.ts';
import { useMillrace } from '../support/millrace.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';
import { connectTestRedis, keysOf } from '../support/test-redis.ts';

/** `npm run test:chaos -- --only retries-before-recording` runs 2,000. */
const LIFECYCLES = 60;
const PATIENCE_MS = 30_000;
const NONE: Disagreements = { list: [], feed: [], webhook: [] };

let remove = async () => {};
const millrace = useMillrace(async () => {
  const modelsDir = await mkdtemp(path.join(tmpdir(), 'millrace-openings-'));
  remove = () => rm(modelsDir, { recursive: true, force: true });
  await writeModels(modelsDir);
  const env = {
    WORKER_ROLES: 'inference,webhooks',
    WEBHOOK_ALLOW_HTTP: 'true',
    WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8',
  };
  return { modelsDir, models: ['quick', 'slow', 'lookup'], env };
});
let redis: Connection;
let proxy: Awaited<ReturnType<typeof startStallingProxy>>;
let receiver: Receiver;
let deps: LifecycleDeps;
beforeAll(async () => {
  receiver = await startReceiver();
  redis = connectTestRedis('blocking');
  proxy = await startStallingProxy(millrace.config.databaseUrl);
  // A separate recorder, whose connection to Postgres can be stalled.
  await millrace.startWorker({ WORKER_ROLES: 'recorder', DATABASE_URL: proxy.url });
  deps = {
    call: millrace.request,
    receiver,
    random: seeded(7),
    holdRecorder: (held) => (held ? proxy.stall() : proxy.resume()),
  };
});
afterAll(async () => {
  proxy.resume();
  redis.disconnect();
  await proxy.close();
  await receiver.close();
  await remove();
});

const act = (id: string, action: 'cancel' | 'retry') =>
  millrace.request(`/v1/predictions/${id}/${action}`, { method: 'POST' });

/** The number of entries that the recorder has read and not written. */
async function unwritten(): Promise<number> {
  const streams = Array.from({ length: SHARDS }, (_, shard) => millrace.keys.ledger(shard));
  const pending = await Promise.all(streams.map((stream) => redis.xpending(stream, 'recorder')));
  return pending.reduce((sum, [count]) => sum + Number(count), 0);
}

describe('a retry before the end that it undoes is recorded', () => {
  test.each(['promised', 'not promised'])('is in the ledger together with each end: %s', async (how) => {
    const url = `${receiver.url}/200/held?${how.length}`;
    const body = { input: slow(400).input, webhook: { url } };
    proxy.stall();
    const request = millrace.predict('slow', body, how === 'promised' ? {} : { prefer: 'wait=20' });
    let id = '';
    if (how === 'promised') id = (await request).body.id;
    else {
      // The list does not have the prediction yet. The test finds its id in Redis.
      const states = `${millrace.keys.tag(shardOf('slow'))}p:`;
      await expect
        .poll(async () => {
          const keys = await keysOf(redis, states);
          const texts = await Promise.all(keys.map(async (key) => [key.slice(-36), await redis.get(key)]));
          const uuid = texts.find(([, state]) => state?.includes(url))?.[0] ?? '';
          id = uuid === '' ? '' : publicId('pred', uuid);
          return id;
        })
        .not.toBe('');
    }
    expect((await act(id, 'cancel')).body.status).toBe('canceled');
    await expect.poll(unwritten).toBeGreaterThan(0);
    expect((await act(id, 'retry')).status).toBe(202);
    proxy.resume();
    await request;
    // The late recorder writes now and must not end the opening that the retry promised.
    await expect.poll(unwritten).toBe(0);
    await act(id, 'cancel');
    const played = { id, path: url.slice(receiver.url.length), openings: 2, late: 0, unsure: false };
    expect(await disagreements(deps, [played], PATIENCE_MS)).toEqual(NONE);
  });
});

test.each([
  ['cancel, retry, cancel', 24, () => slow(40), ['cancel', 'retry', 'cancel'] as const],
  [
    'cancel, retry, cancel of a prediction that may have succeeded',
    24,
    () => quick(),
    ['cancel', 'retry', 'cancel'] as const,
  ],
  ['fail, retry, cancel', 24, undefined, ['end', 'retry', 'cancel'] as const],
  ['fail, three retries at once, cancel', 24, undefined, ['end', 'retry three times at once', 'cancel'] as const],
])('%s: single reads, the list, the feed and the webhooks agree', async (_, count, makeRequest, steps) => {
  const failing = (n: number) => ({ model: 'lookup', input: { x: [100_000 + n] }, expected: undefined });
  const played = await Promise.all(
    Array.from({ length: count }, async (__, n) => {
      deps.holdRecorder(n % 3 > 0);
      const request = makeRequest === undefined ? failing(n + 1_000 * steps[1].length) : makeRequest();
      return playLifecycle(deps, request, steps);
    }),
  );
  deps.holdRecorder(false);
  expect(await disagreements(deps, played, PATIENCE_MS)).toEqual(NONE);
});

test(`${LIFECYCLES} random lifecycles beside a stalled recorder end alike in single reads, the list, the feed and the webhooks`, async () => {
  const played = await playRandomly(deps, LIFECYCLES, 6);
  expect(played).toHaveLength(LIFECYCLES);
  expect(await disagreements(deps, played, PATIENCE_MS)).toEqual(NONE);
}, 180_000);

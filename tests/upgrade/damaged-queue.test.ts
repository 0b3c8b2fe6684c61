/** Tests unreadable data in the queue Redis: promises are restored from the ledger, and nothing stops. */

import { shardOf } from '@millrace/shared/predictions/ids';
import { type Connection, connectRedis } from '@millrace/shared/redis/connection';
import { Queue } from 'bullmq';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { hashOfKey } from '../../apps/api/src/predictions/idempotency-claims.ts';
import { rawId } from '../support/raw-id.ts';
import { useSmallModels } from '../support/small-models.ts';

const MODEL = 'echo';
const millrace = useSmallModels([MODEL], { HEARTBEAT_MS: '500', RECONCILE_MS: '300' });
let redis: Connection;
beforeAll(() => {
  redis = connectRedis(millrace.config.redisUrl, 'blocking', { cluster: millrace.config.redisCluster });
});
afterAll(async () => {
  redis.disconnect();
});
// Each test submits while no worker runs and damages the waiting data.
beforeEach(() => millrace.stopWorkers('stop'));

async function promise(x: number[], headers: Record<string, string> = {}): Promise<string> {
  const response = await millrace.predict(MODEL, { input: { x } }, { prefer: 'respond-async', ...headers });
  expect(response.status).toBe(202);
  return response.body.id;
}

async function outputOf(id: string): Promise<unknown> {
  let body: { status: string; output: { y: { data: number[] } } } | undefined;
  await expect
    .poll(
      async () => {
        body = (await millrace.request(`/v1/predictions/${id}?wait=5`)).body;
        return body?.status;
      },
      { timeout: 60_000 },
    )
    .toBe('succeeded');
  return body?.output.y.data;
}

let rounds = 100;
/** Part of an input that no other test has, so that its result is not cached. */
const nextRound = (): number => ++rounds;

const live = (id: string) => millrace.keys.live(rawId(id));

describe('promises whose live state', () => {
  test.each<[string, (id: string) => Promise<unknown>]>([
    [
      'is a hash of a version before 0.1.0',
      async (id) => {
        await redis.del(live(id));
        await redis.hset(live(id), { s: 'queued', a: '0', t: String(Date.now()), m: MODEL, v: '1', p: '5', q: '1' });
      },
    ],
    ['is cut within its head', async (id) => redis.set(live(id), ((await redis.get(live(id))) as string).slice(0, 50))],
    [
      'is cut within its task',
      async (id) => redis.set(live(id), ((await redis.get(live(id))) as string).slice(0, -30)),
    ],
    ['is garbage', (id) => redis.set(live(id), 'garbage')],
  ])('%s are restored and computed, and the queue counts correctly again', async (_, damage) => {
    const round = nextRound();
    const ids = await Promise.all(Array.from({ length: 8 }, (_, at) => promise([at, round])));
    for (const id of ids.slice(0, 5)) await damage(id);
    const worker = await millrace.startWorker();
    for (const [at, id] of ids.entries()) expect(await outputOf(id)).toEqual([at, round]);
    await expect.poll(() => worker.metric('millrace_live_states_unreadable_total')).toBe(5);
    await expect
      .poll(async () => {
        const metrics = await (await fetch(`${millrace.url}/metrics`)).text();
        return /^millrace_queue_waiting\{model="echo"\} (\d+)$/m.exec(metrics)?.[1];
      })
      .toBe('0');
    expect(await worker.metric('millrace_worker_predictions_total', 'status="failed"')).toBe(0);
  });
});

test('a promise with an unreadable job gets another job, and a job of a later version waits for its worker', async () => {
  const id = await promise([1, 77]);
  const later = await promise([2, 77]);
  const queue = new Queue(MODEL, {
    connection: redis,
    prefix: millrace.keys.bull(shardOf(MODEL)),
    skipVersionCheck: true,
  });
  queue.on('error', () => {});
  const jobs = await queue.getJobs(['prioritized', 'waiting']);
  const jobOf = (wanted: string) => jobs.find(({ data }) => data.ids.includes(wanted));
  await jobOf(rawId(id))?.updateData({ version: 1, ids: 'none' });
  await jobOf(rawId(later))?.updateData({ v: 2, batch: { of: 'tomorrow' } });
  await millrace.startWorker();
  expect(await outputOf(id)).toEqual([1, 77]);
  expect((await millrace.request(`/v1/predictions/${later}`)).body.status).toBe('queued');
  const waiting = (await queue.getJobs(['prioritized', 'waiting', 'delayed', 'active'])).find(
    ({ data }) => data.v === 2,
  );
  await waiting?.updateData({ v: 1, version: '1', ids: [rawId(later)] });
  expect(await outputOf(later)).toEqual([2, 77]);
  await queue.close();
});

test('unreadable entries of the recorder do not block other ends', async () => {
  const stream = millrace.keys.ledger(shardOf(MODEL));
  const id = await promise([4, nextRound()]);
  const raw = rawId(id);
  await redis.xadd(stream, '*', raw, '1', 'nobody', 'garbage', raw, 'x'.repeat(200));
  await redis.xadd(stream, '*', 'alone', '');
  await millrace.startWorker();
  await outputOf(id);
  await redis.xadd(stream, '*', raw, 'succeeded');
  const later = await promise([5, nextRound()]);
  await outputOf(later);
  // The prediction is recorded: the list reads the ledger.
  await expect
    .poll(async () =>
      (await millrace.request('/v1/predictions?status=succeeded&limit=20')).body.data?.map(
        (one: { id: string }) => one.id,
      ),
    )
    .toEqual(expect.arrayContaining([id, later]));
});

test.each([
  ['cut', (held: string) => held.slice(0, 60)],
  ['garbled', (held: string) => `x${held.slice(1)}`],
  ['empty', () => ''],
])('an Idempotency-Key that is %s in Redis is found in the ledger', async (name, damage) => {
  await millrace.startWorker();
  const key = `key-${name}`;
  const repeat = () =>
    millrace.predict(MODEL, { input: { x: [3, name.length] }, metadata: { name } }, { 'idempotency-key': key });
  const { id } = (await repeat()).body;
  const redisKey = millrace.keys.idempotency('default', hashOfKey(key));
  await redis.set(redisKey, damage((await redis.get(redisKey)) as string), 'PX', 60_000);
  const again = await repeat();
  expect([again.body.id, again.headers.get('cache-status')]).toEqual([id, 'millrace; fwd=request; collapsed']);
});

/**
 * Tests a queue Redis that replies but serves no data: a Redis that loads its data, and a replica without its primary.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Guard, startGuard } from '@millrace/local/process/guard';
import { findOrInstallRedis } from '@millrace/local/redis/program';
import { type LocalRedis, startRedis } from '@millrace/local/redis/server';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Millrace, startMillrace } from '../support/millrace.ts';
import { makeModelFolder } from '../support/model-folder.ts';
import { type RedisPair, startRedisPair } from '../support/redis-pair.ts';

let folder: Awaited<ReturnType<typeof makeModelFolder>>;
beforeAll(async () => {
  folder = await makeModelFolder(['rows']);
});
afterAll(() => folder.remove());

let used = 0;
const predict = (millrace: Millrace, headers: Record<string, string> = { prefer: 'wait=10' }) => {
  used += 1;
  return millrace.predict('rows', { input: { x: [[used, 5]] } }, headers);
};
const readiness = async (base: string) => {
  const response = await fetch(`${base}/readyz`);
  const body = (await response.json()) as { parts: Record<string, string> };
  return { code: response.status, redis: body.parts.redis };
};
const bases = (millrace: Millrace) => [millrace.url, millrace.workers[0]?.url as string];

/** A waiting promise: its worker is stopped until SIGCONT. */
async function promiseOf(millrace: Millrace): Promise<string> {
  millrace.workers[0]?.signal('SIGSTOP');
  const { status, body } = await predict(millrace, { prefer: 'respond-async' });
  expect(status).toBe(202);
  return body.id;
}

async function expectRefused(millrace: Millrace, { code, sentence }: { code: string; sentence: string }) {
  millrace.workers[0]?.signal('SIGCONT');
  for (const base of bases(millrace))
    await expect.poll(() => readiness(base)).toMatchObject({ code: 503, redis: expect.stringContaining(sentence) });
  const { status, body, headers } = await predict(millrace);
  expect([status, body.detail, headers.get('retry-after')]).toEqual([
    503,
    `Redis takes no writes now (${code}); nothing was accepted.`,
    '1',
  ]);
}

async function expectHealed(millrace: Millrace, id: string): Promise<void> {
  for (const base of bases(millrace))
    await expect.poll(() => readiness(base)).toMatchObject({ code: 200, redis: 'ok' });
  await expect.poll(async () => (await predict(millrace)).status).toBe(200);
  await expect
    .poll(async () => (await millrace.request(`/v1/predictions/${id}?wait=5`)).body)
    .toMatchObject({ status: 'succeeded', attempt: 1 });
}

describe('a queue Redis that loads its data', () => {
  const FILLER = 10_000;
  let dir: string;
  let guard: Guard;
  let server: LocalRedis;
  let millrace: Millrace;
  const start = async (port: number | undefined, settings: readonly string[]) =>
    startRedis({
      program: await findOrInstallRedis(() => {}),
      dataDir: path.join(dir, 'data'),
      logFile: path.join(dir, 'log'),
      password: 'pw',
      guard,
      settings,
      ...(port === undefined ? {} : { port }),
    });
  beforeAll(async () => {
    dir = await mkdtemp(path.join(tmpdir(), 'millrace-loading-'));
    guard = startGuard();
    server = await start(undefined, []);
    const env = { REDIS_URL: server.url, REDIS_CLUSTER: 'false' };
    millrace = await startMillrace({ modelsDir: folder.dir, models: ['rows'], env });
  });
  afterAll(async () => {
    await millrace?.close();
    await server?.part.stop();
    await guard.close();
    await rm(dir, { recursive: true, force: true });
  });

  test('is reported, accepts no work, and continues with its data', async () => {
    const redis = new Redis(server.url);
    const filler = redis.pipeline();
    for (let n = 0; n < FILLER; n += 1) filler.set(`filler-${n}`, '1', 'EX', 600);
    await filler.exec();
    const id = await promiseOf(millrace);
    // Redis loads this form of its file one key at a time, with the pause that is set below, and replies in between.
    await redis.bgrewriteaof();
    await expect.poll(() => redis.info('persistence')).toMatch(/aof_rewrite_in_progress:0.*aof_rewrites:1/s);
    redis.disconnect();
    await server.part.stop();
    const loading = start(Number(new URL(server.url).port), [
      'key-load-delay 1000',
      'loading-process-events-interval-bytes 1024',
    ]);
    await expectRefused(millrace, {
      code: 'LOADING',
      sentence: 'The queue Redis (REDIS_URL) is loading its data and takes no commands.',
    });
    server = await loading;
    await expectHealed(millrace, id);
  });
});

describe('a queue Redis that is a replica without its primary', () => {
  let pair: RedisPair;
  let millrace: Millrace;
  beforeAll(async () => {
    pair = await startRedisPair();
    const env = { REDIS_URL: pair.url, REDIS_CLUSTER: 'false' };
    millrace = await startMillrace({ modelsDir: folder.dir, models: ['rows'], env });
  });
  afterAll(async () => {
    await millrace?.close();
    await pair?.stop();
  });

  test('and serves no stale data is reported, accepts no work, and continues after its promotion', async () => {
    await pair.second.config('SET', 'replica-serve-stale-data', 'no');
    const id = await promiseOf(millrace);
    // All data has reached the replica.
    expect(await pair.first.call('WAIT', '1', '5000')).toBe(1);
    await pair.endFirst();
    pair.leadToSecond();
    pair.proxy.cut();
    // Redis first refuses writes to a replica, and then checks the primary: reads get MASTERDOWN, and writes get
    // READONLY.
    await expect(pair.second.get('any')).rejects.toThrow('MASTERDOWN');
    await expectRefused(millrace, {
      code: 'READONLY',
      sentence: 'The queue Redis (REDIS_URL) is a read-only replica.',
    });
    // Reads that Redis refuses are served from the ledger.
    const found = await millrace.request(`/v1/predictions/${id}`);
    expect([found.status, found.body.status]).toEqual([200, 'queued']);
    await pair.second.config('SET', 'replica-read-only', 'no');
    await expectRefused(millrace, {
      code: 'MASTERDOWN',
      sentence: 'The queue Redis (REDIS_URL) is a replica that has lost its primary.',
    });
    await pair.second.call('REPLICAOF', 'NO', 'ONE');
    await expectHealed(millrace, id);
  });
});

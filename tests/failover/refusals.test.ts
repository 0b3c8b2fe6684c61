/** Tests the reports about a Redis that replies and refuses: because of an ACL, a full disk or missing replicas. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startGuard } from '@millrace/local/process/guard';
import { findOrInstallRedis } from '@millrace/local/redis/program';
import { startRedis } from '@millrace/local/redis/server';
import { loadConfig } from '@millrace/shared/process/config';
import { Redis } from 'ioredis';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startApi } from '../../apps/api/src/server.ts';
import { type Millrace, startMillrace } from '../support/millrace.ts';
import { makeModelFolder } from '../support/model-folder.ts';

let redis: Redis;
let millrace: Millrace;
let folder: Awaited<ReturnType<typeof makeModelFolder>>;
let stop = async () => {};
let url: URL;
let dir: string;

/** The rights of docs/operations.md, for the prefix of the tests. */
const RIGHTS = {
  queue: ['~test-*', '&test-*', '+@all', '-@dangerous', '+info'],
  cache: [
    '~test-*',
    '+get',
    '+mget',
    '+getrange',
    '+strlen',
    '+set',
    '+append',
    '+setrange',
    '+rename',
    '+pexpire',
    '+del',
    '+eval',
    '+evalsha',
    '+info',
    '+@connection',
  ],
};
const setUser = (name: keyof typeof RIGHTS, ...more: string[]) =>
  redis.call('ACL', 'SETUSER', name, 'reset', 'on', '>pw', ...RIGHTS[name], ...more);

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'millrace-refusals-'));
  const guard = startGuard();
  const program = await findOrInstallRedis(() => {});
  const server = await startRedis({ program, dataDir: dir, logFile: path.join(dir, 'log'), password: 'pw', guard });
  redis = new Redis(server.url);
  stop = async () => {
    redis.disconnect();
    await server.part.stop();
    await guard.close();
    await rm(dir, { recursive: true, force: true });
  };
  url = new URL(server.url);
  await setUser('queue');
  await setUser('cache');
  folder = await makeModelFolder(['rows']);
  const env = { REDIS_URL: as('queue'), CACHE_REDIS_URL: as('cache'), REDIS_CLUSTER: 'false' };
  millrace = await startMillrace({ modelsDir: folder.dir, models: ['rows'], env });
});
afterAll(async () => {
  await millrace?.close();
  await stop();
  await folder?.remove();
});

/** The URL of the server for a user. */
function as(user: string): string {
  const own = new URL(url);
  own.username = user;
  return own.href;
}

let used = 0;
const predict = () => {
  used += 1;
  return millrace.predict('rows', { input: { x: [[used, 3]] } }, { prefer: 'wait=10' });
};
const readiness = async (base: string) => {
  const response = await fetch(`${base}/readyz`);
  const body = (await response.json()) as { parts: Record<string, string> };
  return { code: response.status, ...body.parts };
};
/** Without the queue Redis an API still serves hits, and a worker takes no work. */
const codeWithoutQueue = (base: string) => (base === millrace.url ? 200 : 503);
const everybody = () => [millrace.url, millrace.workers[0]?.url as string];

describe('a user without a right', () => {
  test.each(['xadd', 'hincrby', 'evalsha'])(
    'to run %s on the queue Redis is reported with the setting',
    async (command) => {
      await setUser('queue', `-${command}`);
      try {
        const refused = await predict();
        expect(refused.status).toBe(503);
        expect(refused.body.detail).toBe('Redis refuses a command that Millrace needs (NOPERM); nothing was accepted.');
        // The reply inside a script names no command (Redis 7.0), so Millrace tries each command separately.
        const sentence = `The queue Redis (REDIS_URL) refuses the command '${command}' to its user 'queue' (NOPERM).`;
        await expect
          .poll(() => readiness(millrace.url))
          .toMatchObject({
            code: 200,
            redis: expect.stringContaining(sentence),
          });
      } finally {
        await setUser('queue');
      }
      for (const base of everybody())
        await expect.poll(() => readiness(base), { timeout: 60_000 }).toMatchObject({ code: 200, redis: 'ok' });
      await expect.poll(async () => (await predict()).status).toBe(200);
    },
  );

  test('on the keys of the queue Redis is reported as such', async () => {
    await setUser('queue', 'resetkeys', '~other:*');
    try {
      for (const base of everybody())
        await expect
          .poll(() => readiness(base), { timeout: 60_000 })
          .toMatchObject({
            code: codeWithoutQueue(base),
            redis: expect.stringMatching(
              /^The queue Redis \(REDIS_URL\) refuses .*key.* to its user 'queue' \(NOPERM\)/,
            ),
          });
    } finally {
      await setUser('queue');
    }
    await expect.poll(() => readiness(millrace.url), { timeout: 60_000 }).toMatchObject({ code: 200 });
  });

  test('to write to the cache Redis is reported, and requests are still served', async () => {
    await setUser('cache', '-set');
    try {
      for (const base of everybody())
        await expect
          .poll(() => readiness(base), { timeout: 60_000 })
          .toMatchObject({
            code: 200,
            cache: expect.stringContaining(
              "The cache Redis (CACHE_REDIS_URL) refuses the command 'set' to its user 'cache' (NOPERM).",
            ),
          });
      const response = await predict();
      expect([response.status, response.headers.get('cache-status')]).toEqual([
        200,
        expect.stringMatching(/^millrace; fwd=miss; stored=\?0; detail=cache-unavailable; key=/),
      ]);
    } finally {
      await setUser('cache');
    }
    for (const base of everybody())
      await expect.poll(() => readiness(base), { timeout: 60_000 }).toMatchObject({ cache: 'ok' });
  });

  test('to read INFO prevents the start of the API with one sentence', async () => {
    await redis.call('ACL', 'SETUSER', 'blind', 'on', '>pw', ...RIGHTS.queue, '-info');
    const config = loadConfig({ ...millrace.env, REDIS_URL: as('blind') });
    await expect(startApi(config, pino({ level: 'silent' }))).rejects.toThrow(
      "The queue Redis (REDIS_URL) refuses the command 'info' to its user 'blind' (NOPERM).",
    );
  });

  test('or with a wrong password is reported with the setting', async () => {
    const own = new URL(as('queue'));
    own.password = 'wrong';
    const config = loadConfig({ ...millrace.env, REDIS_URL: own.href });
    await expect(startApi(config, pino({ level: 'silent' }))).rejects.toThrow(
      /^The queue Redis \(REDIS_URL\) .*WRONGPASS/,
    );
  });
});

describe('a queue Redis that refuses writes', () => {
  test('for lack of replicas (NOREPLICAS) is reported, and recovers', async () => {
    await redis.config('SET', 'min-replicas-to-write', '1');
    try {
      for (const base of everybody())
        await expect
          .poll(() => readiness(base), { timeout: 60_000 })
          .toMatchObject({
            code: codeWithoutQueue(base),
            redis: expect.stringContaining('(REDIS_URL) has fewer replicas than min-replicas-to-write requires'),
          });
      const refused = await predict();
      expect([refused.status, refused.body.detail]).toEqual([
        503,
        'Redis takes no writes now (NOREPLICAS); nothing was accepted.',
      ]);
    } finally {
      await redis.config('SET', 'min-replicas-to-write', '0');
    }
    await expect.poll(async () => (await predict()).status, { timeout: 60_000 }).toBe(200);
  });

  test('because its disk cannot be written (MISCONF) is reported, and recovers', async () => {
    // The prediction is accepted before the failure and computed while Redis refuses writes.
    millrace.workers[0]?.signal('SIGSTOP');
    const { body } = await millrace.predict('rows', { input: { x: [[4_711, 3]] } }, { prefer: 'respond-async' });
    // A failed snapshot stops all writes, as a full disk does. A folder with the name of the snapshot file makes the
    // snapshot fail.
    await mkdir(path.join(dir, 'dump.rdb'));
    await redis.config('SET', 'save', '3600 1');
    await redis.call('BGSAVE');
    await expect.poll(() => redis.info('persistence')).toContain('rdb_last_bgsave_status:err');
    millrace.workers[0]?.signal('SIGCONT');
    try {
      await expect
        .poll(() => readiness(millrace.url), { timeout: 60_000 })
        .toMatchObject({
          code: 200,
          redis: expect.stringContaining('(REDIS_URL) cannot write to its disk and takes no writes (MISCONF)'),
        });
    } finally {
      await redis.config('SET', 'save', '');
    }
    await expect.poll(async () => (await predict()).status, { timeout: 60_000 }).toBe(200);
    await expect
      .poll(async () => (await millrace.request(`/v1/predictions/${body.id}`)).body, { timeout: 60_000 })
      .toMatchObject({ status: 'succeeded', attempt: 1 });
  });

  test('because it is full is handled by admission and is not reported', async () => {
    await redis.config('SET', 'maxmemory', '1mb');
    try {
      await expect.poll(async () => (await predict()).body.code).toBe('queue_full');
      expect(await readiness(millrace.url)).toMatchObject({ redis: 'ok' });
    } finally {
      await redis.config('SET', 'maxmemory', '0');
    }
    await expect.poll(async () => (await predict()).status).toBe(200);
  });
});

/** Incidents of Postgres and the two Redis. */
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import pg from 'pg';
import type { DrillStage } from '../drill-stage.ts';
import type { Incident } from '../incident.ts';

const POSTGRES_EFFECTS = {
  MillraceErrors: 'promises are refused with 503',
  MillraceRequestsFail: 'promises are refused with 503',
  MillraceErrorBudgetFast: 'promises are refused with 503',
  MillraceErrorBudgetSlow: 'promises are refused with 503',
  MillraceRecorderLate: 'ends cannot be recorded',
  MillraceRecorderIdle: 'ends cannot be recorded',
  MillraceStoreSlow: 'the store needs longer than 0.2 s until it is lost',
};
const QUEUE_EFFECTS = {
  MillraceStoreErrors: 'operations of the queue Redis fail',
  MillraceErrors: 'requests are refused with 503',
  MillraceRequestsFail: 'requests are refused with 503',
  MillraceErrorBudgetFast: 'requests are refused with 503',
  MillraceErrorBudgetSlow: 'requests are refused with 503',
  MillraceResultsHeld: 'results wait for the queue Redis',
  MillraceRecorderIdle: 'ends cannot be recorded',
};
const CACHE_EFFECTS = {
  MillraceStoreErrors: 'operations of the cache Redis fail',
  MillraceHitShareHalved: 'without the cache nothing is a hit',
  MillraceStoreSlow: 'the cache Redis needs longer than 0.2 s until it is lost',
};

/** Whether a part of `/readyz` of the API names a fault. */
const partNames =
  (part: string) =>
  async ({ get, api }: DrillStage) => {
    const { body } = await get(api, '/readyz');
    const state = (body.parts as Record<string, string> | undefined)?.[part];
    return state === undefined || state === 'ok' ? [`/readyz of the API reports ${part}: ${state}`] : [];
  };

export const storeIncidents: Incident[] = [
  {
    name: 'postgres-slow',
    how: 'Postgres stands still for 550 ms of each second',
    alert: { name: 'MillraceStoreSlow', labels: { store: 'postgres' } },
    async inject({ servers }) {
      const stall = () => {
        servers.postgres.proxy.behave({ stalled: true });
        setTimeout(() => servers.postgres.proxy.behave({ stalled: false }), 550);
      };
      const timer = setInterval(stall, 1_000);
      return () => {
        clearInterval(timer);
        servers.postgres.proxy.behave({ stalled: false });
      };
    },
  },
  {
    name: 'ledger-locked',
    how: 'another session locks the table of predictions',
    alert: { name: 'MillraceStoreErrors', labels: { store: 'postgres' } },
    effects: POSTGRES_EFFECTS,
    async inject({ stage }) {
      const session = new pg.Client({ connectionString: stage.databaseUrl });
      await session.connect();
      await session.query('BEGIN');
      await session.query('LOCK TABLE predictions IN ACCESS EXCLUSIVE MODE');
      return () => session.end();
    },
    signals: partNames('promises'),
  },
  {
    name: 'postgres-stopped',
    how: 'Postgres does not respond',
    alert: { name: 'MillraceStoreErrors', labels: { store: 'postgres' } },
    effects: POSTGRES_EFFECTS,
    lines: [{ process: 'api', message: 'Postgres does not respond', fields: {} }],
    async inject({ servers }) {
      servers.postgres.freeze();
      return () => servers.postgres.thaw();
    },
    async signals(drill) {
      // A key that the API knows stays in use.
      const { status } = await drill.send({ model: 'quick', input: { x: [[1, 1]] } });
      return [
        ...(status === 200 ? [] : [`a caller with a known key got ${status}`]),
        ...(await partNames('postgres')(drill)),
      ];
    },
  },
  {
    name: 'queue-redis-full',
    how: 'data of another program takes 75 % of the memory of the queue Redis',
    alert: { name: 'MillraceRefused', labels: { reason: 'memory' } },
    effects: { MillraceQueueMemory: 'the memory of the queue Redis is used' },
    lines: [
      { process: 'api', message: 'request refused', fields: { code: 'queue_full', model: /./, detail: /memory/ } },
    ],
    inject: ({ stage }) =>
      stage.withRedis(async (redis) => {
        const used = Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1]);
        const foreign = 100_000_000;
        await redis.set('another-program', Buffer.alloc(foreign));
        await redis.config('SET', 'maxmemory', String(Math.round((used + foreign) / 0.75)));
        return () =>
          stage.withRedis(async (again) => {
            await again.config('SET', 'maxmemory', '0');
            await again.del('another-program');
          });
      }),
    signals: partNames('admission'),
  },
  {
    name: 'queue-redis-disk',
    how: 'the disk of the queue Redis takes no more data',
    alert: { name: 'MillraceQueueRedisNotWritable' },
    effects: QUEUE_EFFECTS,
    inject: ({ stage, servers }) =>
      stage.withRedis(async (redis) => {
        // A failed snapshot stops all writes, as a full disk does. A folder with the name of the file makes the snapshot fail.
        const blocker = path.join(servers.dir, 'redis', 'dump.rdb');
        await mkdir(blocker, { recursive: true });
        await redis.config('SET', 'save', '3600 1');
        await redis.call('BGSAVE');
        return () =>
          stage.withRedis(async (again) => {
            await again.config('SET', 'save', '');
            await rm(blocker, { recursive: true });
          });
      }),
    signals: partNames('redis'),
  },
  {
    name: 'cache-redis-killed',
    how: 'the cache Redis is killed',
    alert: { name: 'MillraceCacheRedisNotWritable' },
    effects: CACHE_EFFECTS,
    lines: [{ process: 'api', message: 'The cache Redis takes no writes', fields: {} }],
    async inject({ servers }) {
      await servers.cache.kill();
      return () => servers.cache.start();
    },
    signals: partNames('cache'),
  },
  {
    name: 'cache-redis-stalls',
    how: 'the cache Redis accepts connections and does not respond',
    alert: { name: 'MillraceCacheRedisNotWritable' },
    effects: CACHE_EFFECTS,
    lines: [{ process: 'worker', message: 'The cache Redis takes no writes', fields: {} }],
    async inject({ servers }) {
      servers.cache.freeze();
      return () => servers.cache.thaw();
    },
    signals: partNames('cache'),
  },
];

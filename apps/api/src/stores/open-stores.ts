/** Opens the connections of an API process to the queue Redis, the cache Redis and Postgres, and checks each store. */
import { CacheDamage } from '@millrace/shared/cache/damage';
import { holdsCache, queueMemoryAdvice } from '@millrace/shared/cache/queue-memory';
import { ReadThrough } from '@millrace/shared/cache/read-through';
import { JOINED_COMMANDS } from '@millrace/shared/cache/result-cache';
import { type Clock, startClock } from '@millrace/shared/postgres/clock';
import { createPool, openConnections, type Pool } from '@millrace/shared/postgres/db';
import { checkPostgres } from '@millrace/shared/postgres/migrate';
import { postgresError } from '@millrace/shared/postgres/postgres-error';
import type { Closers } from '@millrace/shared/process/closers';
import type { Config } from '@millrace/shared/process/config';
import { StoreMetrics } from '@millrace/shared/process/store-metrics';
import { type Connection, checkQueueRedis, waitForRedis } from '@millrace/shared/redis/connection';
import { claimQueueFormat, watchQueueFormat } from '@millrace/shared/redis/format';
import { type Keys, keysFor } from '@millrace/shared/redis/keys';
import { openRedisStore } from '@millrace/shared/redis/redis-store';
import type { WriteProbe } from '@millrace/shared/redis/write-probe';
import type { Logger } from 'pino';
import { RedisWatch } from './redis-watch.ts';

/** The time limit of each step of the start. A request has a much shorter limit, so the start opens every connection of a request. */
export const START_TIMEOUT_MS = 10_000;
/** The connections to Postgres at the start: two commits of promises, and look-ups of several tenants, at the same time. */
const CONNECTIONS_AT_START = 6;
/** The timeout of a large value, in timeouts of a small command: a large value may wait behind other large values. */
const LARGE_TIMEOUTS = 4;

export interface OpenParams {
  config: Config;
  log: Logger;
  closers: Closers;
}

export interface QueueStore {
  redis: Connection;
  /** A connection for large values, so that no small command waits behind a large value. */
  largeRedis: Connection;
  probe: WriteProbe;
  /** Whether Redis replied within the last moments and accepts writes. */
  ready(): boolean;
  /** Opens another connection. `name` follows `millrace-api-` in CLIENT LIST. */
  connect(kind: 'producer' | 'blocking', name: string, timeoutMs?: number): Connection;
  /** See main-process.ts. Resolves when a newer version of Millrace has changed the format of the queue. */
  mustStop: Promise<string>;
}

export interface CacheStore {
  redis: Connection;
  /** A connection for large values, so that no small command waits behind a large value. */
  largeRedis: Connection;
  probe: WriteProbe;
  /** Counts damaged values. */
  damage: CacheDamage;
  /** Caches queries of Postgres. */
  readThrough: ReadThrough;
  /** Whether the cache is on a server of the queue: see `holdsCache`. */
  sharesQueue: boolean;
  onError(error: unknown): void;
}

export interface Stores {
  keys: Keys;
  metrics: StoreMetrics;
  queue: QueueStore;
  cache: CacheStore;
  db: Pool;
  clock: Clock;
}

interface Opening {
  keys: Keys;
  metrics: StoreMetrics;
}

/** Rejects when a store is absent or unfit. `params.closers` closes the connections that were opened until then. */
export async function openStores(params: OpenParams): Promise<Stores> {
  const { config, log, closers } = params;
  const keys = keysFor(config.keyPrefix);
  const metrics = new StoreMetrics();
  const queue = await openQueueRedis(params, { keys, metrics });
  const opened = openCacheRedis(params, { keys, metrics });
  const cache = { ...opened, sharesQueue: await holdsCache(queue.redis, opened.redis) };
  const memory = { holdsCache: cache.sharesQueue, maxMemoryShare: config.maxMemoryShare };
  for (const advice of await queueMemoryAdvice(queue.redis, memory)) log.warn(advice);
  const db = await openPostgres(params);
  const clock = await startClock({
    db,
    maxSkewMs: config.maxClockSkewMs,
    log,
    onRead(ms, error) {
      metrics.took('postgres', 'probe', ms);
      if (error !== undefined) metrics.failed('postgres', 'probe', error);
    },
  });
  closers.push('clock', () => clock.close());
  return { keys, metrics, queue, cache, db, clock };
}

async function openQueueRedis({ config, log, closers }: OpenParams, { keys, metrics }: Opening): Promise<QueueStore> {
  const store = openRedisStore({
    config,
    setting: 'REDIS_URL',
    process: 'millrace-api',
    log,
    metrics,
    consequence: 'The queue Redis takes no writes: predictions are refused.',
  });
  closers.push('queue probe', () => store.close());
  const connect = (kind: 'producer' | 'blocking', name: string, timeoutMs = config.storeTimeoutMs) =>
    store.connect(kind, {
      timeoutMs,
      name: `millrace-api-${name}`,
      onError: (error) => log.debug({ err: error, connection: name }, 'Redis connection error'),
    });
  const redis = connect('producer', 'main');
  closers.push('redis', () => redis.disconnect());
  await waitForRedis(redis, 'The queue Redis (REDIS_URL)', START_TIMEOUT_MS);
  const largeRedis = connect('producer', 'large', LARGE_TIMEOUTS * config.storeTimeoutMs);
  closers.push('redis for large texts', () => largeRedis.disconnect());
  await waitForRedis(largeRedis, 'The queue Redis (REDIS_URL)', START_TIMEOUT_MS);
  await checkQueueRedis(redis, store.user);
  await claimQueueFormat(redis, keys);
  const { promise: mustStop, resolve: onNewer } = Promise.withResolvers<string>();
  const format = watchQueueFormat({ redis, keys, onNewer });
  closers.push('format watch', () => format.close());
  // On its own connection: a PING behind a large reply would be late, and Redis would look absent.
  const watchRedis = connect('producer', 'watch');
  closers.push('redis watch connection', () => watchRedis.disconnect());
  await waitForRedis(watchRedis, 'The queue Redis (REDIS_URL)', START_TIMEOUT_MS);
  const watch = new RedisWatch(watchRedis, config.storeTimeoutMs);
  closers.push('redis watch', () => watch.close());
  const ready = () => watch.ready && store.probe.writable;
  return { redis, largeRedis, probe: store.probe, ready, connect, mustStop };
}

function openCacheRedis(
  { config, log, closers }: OpenParams,
  { keys, metrics }: Opening,
): Omit<CacheStore, 'sharesQueue'> {
  const store = openRedisStore({
    config,
    setting: 'CACHE_REDIS_URL',
    process: 'millrace-api',
    log,
    metrics,
    consequence: 'The cache Redis takes no writes: no new result is stored, and repeated requests stay cache misses.',
  });
  closers.push('cache probe', () => store.close());
  const timeoutMs = Math.min(config.storeTimeoutMs, 200);
  const autoPipeline = { except: JOINED_COMMANDS };
  const redis = store.connect('producer', { timeoutMs, autoPipeline, name: 'millrace-api-cache' });
  closers.push('cache', () => redis.disconnect());
  const largeRedis = store.connect('producer', {
    timeoutMs: LARGE_TIMEOUTS * timeoutMs,
    name: 'millrace-api-cache-large',
  });
  closers.push('cache for large values', () => largeRedis.disconnect());
  const damage = new CacheDamage(log);
  const onError = (error: unknown) => {
    metrics.failed('cache', 'get', error);
    log.debug({ err: error }, 'the cache Redis did not respond');
  };
  const readThrough = new ReadThrough({
    redis,
    keys,
    ttlMs: config.queryTtlMs,
    onError,
    onDamaged: () => damage.found('query'),
  });
  closers.push('read-through', () => readThrough.close());
  return { redis, largeRedis, probe: store.probe, damage, readThrough, onError };
}

async function openPostgres({ config, log, closers }: OpenParams): Promise<Pool> {
  const db = createPool({
    databaseUrl: config.databaseUrl,
    max: 10,
    statementTimeoutMs: config.storeTimeoutMs,
    applicationName: 'millrace-api',
    onError: (error) => log.debug({ err: error }, 'Postgres connection error'),
  });
  closers.push('postgres', () => db.end());
  await openConnections(db, CONNECTIONS_AT_START, START_TIMEOUT_MS).catch((error) => {
    throw postgresError(error, config.databaseUrl);
  });
  await whileLate(() => checkPostgres(db, config.databaseUrl));
  return db;
}

/** Repeats a call to Postgres whose time ran out: a slow server must not stop the start, and the pool has the short timeouts of requests. */
export async function whileLate<T>(call: () => Promise<T>): Promise<T> {
  const end = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (performance.now() > end || !isLate(error)) throw error;
    }
  }
}

const isLate = (error: unknown): boolean =>
  error instanceof Error && (/time-?out/i.test(error.message) || isLate(error.cause));

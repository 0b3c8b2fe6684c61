/** Settings of the stores: Redis, its sentinels, and Postgres. */
import { addresses, flag, type Setting, secret, text, url } from './setting.ts';

export const STORE_SETTINGS = {
  redisUrl: url(
    'REDIS_URL',
    'redis://127.0.0.1:6379',
    'Queue Redis: BullMQ, live state, flights. `noeviction` and AOF.',
  ),
  cacheRedisUrl: url(
    'CACHE_REDIS_URL',
    undefined,
    'Cache Redis: results and queries; may evict. Default: the value of `REDIS_URL`.',
  ),
  redisCluster: flag('REDIS_CLUSTER', false, 'Treat `REDIS_URL` as one node of a Redis Cluster.'),
  redisSentinels: addresses(
    'REDIS_SENTINELS',
    'Sentinels of the queue Redis, each `host:port`. The sentinels name the primary; the scheme, user, password and database number come from `REDIS_URL`.',
  ),
  redisSentinelPrimary: text('REDIS_SENTINEL_PRIMARY', 'mymaster', 'Name of the primary in `REDIS_SENTINELS`.'),
  redisSentinelUsername: text(
    'REDIS_SENTINEL_USERNAME',
    undefined,
    'User for the sentinels, if the sentinels have ACLs.',
  ),
  redisSentinelPassword: secret('REDIS_SENTINEL_PASSWORD', 'Password of the sentinels.'),
  cacheRedisSentinels: addresses(
    'CACHE_REDIS_SENTINELS',
    'Sentinels of the cache Redis. Default: the sentinels of the queue Redis, unless `CACHE_REDIS_URL` is set.',
  ),
  cacheRedisSentinelPrimary: text(
    'CACHE_REDIS_SENTINEL_PRIMARY',
    undefined,
    'Name of the primary in `CACHE_REDIS_SENTINELS`. Required with `CACHE_REDIS_SENTINELS`.',
  ),
  cacheRedisSentinelUsername: text(
    'CACHE_REDIS_SENTINEL_USERNAME',
    undefined,
    'User for the sentinels of the cache Redis, if these sentinels have ACLs.',
  ),
  cacheRedisSentinelPassword: secret('CACHE_REDIS_SENTINEL_PASSWORD', 'Password of the sentinels of the cache Redis.'),
  databaseUrl: {
    name: 'DATABASE_URL',
    kind: 'url',
    default: 'postgres://postgres@127.0.0.1:5432/millrace',
    about: 'Postgres: ledger, registry, entities, webhook deliveries.',
  },
  keyPrefix: text('KEY_PREFIX', 'mr', 'Prefix of every Redis key; separates installations on one Redis.'),
} as const satisfies Record<string, Setting>;

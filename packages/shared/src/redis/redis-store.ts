/** Opens all connections of a process to one Redis, with the probe that proves that the connections lead to the primary. */
import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { type Connection, type ConnectOptions, connectRedis } from './connection.ts';
import { ConnectionGroup } from './connection-group.ts';
import { keysFor } from './keys.ts';
import type { RedisIdentity, RedisSetting } from './redis-fault.ts';
import type { Sentinels } from './sentinels.ts';
import { WriteProbe } from './write-probe.ts';

/** The address of a Redis and the way to connect. */
export interface RedisServer {
  url: string;
  cluster: boolean;
  sentinels: Sentinels | undefined;
}

/** The settings of both Redis servers. */
export interface RedisSettings {
  keyPrefix: string;
  redisUrl: string;
  redisCluster: boolean;
  redisSentinels: Sentinels['addresses'];
  redisSentinelPrimary: string;
  redisSentinelUsername: string | undefined;
  redisSentinelPassword: string | undefined;
  cacheRedisUrl: string;
  cacheRedisSentinels: Sentinels['addresses'];
  cacheRedisSentinelPrimary: string | undefined;
  cacheRedisSentinelUsername: string | undefined;
  cacheRedisSentinelPassword: string | undefined;
}

export function redisServerOf(config: RedisSettings, setting: RedisSetting): RedisServer {
  if (setting === 'REDIS_URL')
    return {
      url: config.redisUrl,
      cluster: config.redisCluster,
      sentinels: sentinelsOf(config.redisSentinels, {
        primary: config.redisSentinelPrimary,
        username: config.redisSentinelUsername,
        password: config.redisSentinelPassword,
      }),
    };
  return {
    url: config.cacheRedisUrl,
    cluster: config.redisCluster && config.cacheRedisUrl === config.redisUrl,
    sentinels: sentinelsOf(config.cacheRedisSentinels, {
      primary: config.cacheRedisSentinelPrimary ?? '',
      username: config.cacheRedisSentinelUsername,
      password: config.cacheRedisSentinelPassword,
    }),
  };
}

const sentinelsOf = (addresses: Sentinels['addresses'], rest: Omit<Sentinels, 'addresses'>): Sentinels | undefined =>
  addresses.length > 0 ? { addresses, ...rest } : undefined;

export interface RedisStore {
  /** The ACL user of every connection. */
  readonly user: string;
  readonly probe: WriteProbe;
  connect(kind: 'producer' | 'blocking', options: Pick<ConnectOptions, StoreOptions>): Connection;
  close(): void;
}

type StoreOptions = 'timeoutMs' | 'name' | 'autoPipeline' | 'onError';

/** Receives the duration of each write probe, and the errors of the probes. */
export interface ProbeMetrics {
  took(store: 'queue' | 'cache', operation: 'probe', ms: number): void;
  failed(store: 'queue' | 'cache', operation: 'probe', error: unknown): void;
}

export interface RedisStoreParams {
  config: RedisSettings;
  setting: RedisSetting;
  /** Name of the process in CLIENT LIST, such as `millrace-api`. */
  process: string;
  log: Logger;
  /** The effect of a fault on the process, for the log. */
  consequence: string;
  metrics: ProbeMetrics;
}

export function openRedisStore({ config, setting, process, log, consequence, metrics }: RedisStoreParams): RedisStore {
  const store = setting === 'REDIS_URL' ? 'queue' : 'cache';
  const server = redisServerOf(config, setting);
  const identity: RedisIdentity = { setting, user: userOf(server.url) };
  const group = new ConnectionGroup((error) => probe.suspect(error));
  let faulty = false;
  const probe = new WriteProbe({
    identity,
    keys: keysFor(config.keyPrefix),
    processId: randomBytes(6).toString('hex'),
    connect: (onError) => {
      const name = `${process}-${setting === 'REDIS_URL' ? '' : 'cache-'}probe`;
      return connectRedis(server.url, 'producer', { ...server, name, probe: true, onError });
    },
    group,
    onProbe(ms, error) {
      metrics.took(store, 'probe', ms);
      if (error) metrics.failed(store, 'probe', error);
    },
    onChange: (fault) => {
      if (fault !== undefined) log.warn({ store: setting, fault }, consequence);
      else if (faulty) log.info({ store: setting }, 'The store takes writes again.');
      faulty = fault !== undefined;
    },
  });
  return {
    user: identity.user,
    probe,
    connect: (kind, options) => connectRedis(server.url, kind, { ...options, ...server, group }),
    close: () => probe.close(),
  };
}

const userOf = (url: string): string => decodeURIComponent(new URL(url).username) || 'default';

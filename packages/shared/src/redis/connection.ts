/** Connections to Redis, with the settings that RELIABILITY.md's rows paid for, and the check that a server can be trusted. */
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { timeOutClusterCommands, timeOutCommands } from './command-deadlines.ts';
import type { ConnectionGroup } from './connection-group.ts';
import { codeOf, explainRedisFault } from './redis-fault.ts';
import { type Sentinels, sentinelOptions } from './sentinels.ts';

export type Connection = Redis | Cluster;

/** Reconnects soon after an outage: the default back-off waits up to 20 s when all is well again. */
const retryStrategy = (times: number): number => Math.min(50 * times, 500);

/** Longer than any blocking call of ours or BullMQ's goes unanswered: beyond it the other end is not there any more. */
const SILENCE_MS = 30_000;

/** Longest pause between two looks at a Redis that loads its data: ioredis would otherwise pause for 10 s. */
const LOADING_RETRY_MS = 500;

export interface ConnectOptions {
  cluster?: boolean | undefined;
  timeoutMs?: number;
  silenceMs?: number;
  name?: string;
  autoPipeline?: boolean;
  onError?: (error: Error) => void;
  /** Sentinels that name the primary; the host and port of the URL are not used then. */
  sentinels?: Sentinels | undefined;
  /** Follows the connection, and replaces it when the server is found to be demoted. Not for a cluster, which sees to that itself. */
  group?: ConnectionGroup;
  /** Whether the connection waits until the server has loaded its data, and is told by the sentinels of a failover. */
  probe?: boolean;
}

/**
 * `producer` fails fast: for requests that a caller waits for. `blocking` waits for ever: for workers and listeners,
 * whose calls outlast any time-out. A
 * connection on which a call has had no answer for `silenceMs` is given up, and the call made again on a new one: a
 * peer that vanished without a word (a machine that lost power) is otherwise noticed after hours.
 */
export function connectRedis(url: string, kind: 'producer' | 'blocking', options: ConnectOptions = {}): Connection {
  const timeoutMs = options.timeoutMs ?? 800;
  const { sentinels, group, probe = false } = options;
  const redisOptions: RedisOptions = {
    retryStrategy,
    maxLoadingRetryTime: LOADING_RETRY_MS,
    connectTimeout: 5_000,
    enableReadyCheck: !probe,
    connectionName: options.name,
    enableAutoPipelining: options.autoPipeline ?? false,
    ...(kind === 'producer'
      ? { maxRetriesPerRequest: 1, enableOfflineQueue: false }
      : { maxRetriesPerRequest: null, socketTimeout: options.silenceMs ?? SILENCE_MS }),
  };
  const redis: Connection = options.cluster
    ? new Cluster([url], {
        redisOptions: { ...redisOptions, ...credentials(url) },
        clusterRetryStrategy: retryStrategy,
        enableOfflineQueue: kind === 'blocking',
        enableAutoPipelining: options.autoPipeline ?? false,
        // While a master fails over each try is a redirection, 100 ms after the one before: who may wait for ever does.
        maxRedirections: kind === 'blocking' ? Number.POSITIVE_INFINITY : 16,
        // Repeated for its whole time, a refusal (CLUSTERDOWN) would end as a time-out, which names no cause.
        ...(kind === 'producer' ? { retryDelayOnClusterDown: 0 } : {}),
        // Certificates name hosts, and a cluster tells addresses only as it was told to announce itself.
        ...(url.startsWith('rediss:') ? { dnsLookup: (address, callback) => callback(null, address) } : {}),
      })
    : single((own) => {
        const all = { ...redisOptions, ...own };
        if (!sentinels) return new Redis(url, all);
        // The role of the server is compared with the sentinels' word by the ready check: the probe needs it there too.
        const named = { ...sentinelOptions(sentinels, url), failoverDetector: probe, enableReadyCheck: true };
        return new Redis({ ...all, ...credentials(url), db: databaseOf(url), ...named });
      }, group);
  if (kind === 'producer') {
    if (isCluster(redis)) timeOutClusterCommands(redis, timeoutMs);
    else timeOutCommands(redis, timeoutMs);
  }
  redis.on('error', options.onError ?? (() => {}));
  return redis;
}

/** The database number in the path of a URL; 0 where there is none. */
const databaseOf = (url: string): number => Number(new URL(url).pathname.slice(1)) || 0;

const single = (create: Parameters<ConnectionGroup['open']>[0], group: ConnectionGroup | undefined): Redis =>
  group ? group.open(create) : create({});

function credentials(url: string): RedisOptions {
  const { username, password, protocol } = new URL(url);
  return {
    ...(username ? { username: decodeURIComponent(username) } : {}),
    ...(password ? { password: decodeURIComponent(password) } : {}),
    ...(protocol === 'rediss:' ? { tls: {} } : {}),
  };
}

/** Waits until the connection can be used; a clear error when it cannot within `timeoutMs`. */
export async function waitForRedis(redis: Connection, name: string, timeoutMs: number): Promise<void> {
  if (redis.status === 'ready') return;
  let last: Error | undefined;
  const remember = (error: Error & { lastNodeError?: Error }) => {
    // What each sentinel said is more than that none of them helped.
    if (last && ALL_SENTINELS.test(error.message)) return;
    last = error.lastNodeError ?? error;
  };
  redis.on('error', remember);
  redis.on('sentinelError', remember);
  try {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () =>
          reject(new Error(`${name} cannot be reached: ${last ? reasonOf(last) : `no answer in ${timeoutMs} ms`}.`)),
        timeoutMs,
      );
      redis.once('ready', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  } finally {
    redis.off('error', remember);
    redis.off('sentinelError', remember);
  }
}

const ALL_SENTINELS = /^All sentinels are unreachable/;

/** What ioredis reports of a sentinel, as a sentence that names the setting to look at. */
function reasonOf({ message }: Error): string {
  const [, sentinel, cause] = /^(?:failed to connect|connected) to sentinel (\S+) (.*)$/s.exec(message) ?? [];
  if (sentinel === undefined || cause === undefined) return message.replace(/\.$/, '');
  if (/No such master|invalid reply: null/.test(cause))
    return `sentinel ${sentinel} knows no primary of that name: check REDIS_SENTINEL_PRIMARY and CACHE_REDIS_SENTINEL_PRIMARY`;
  if (/Connection is closed|ECONNREFUSED/.test(cause))
    return `sentinel ${sentinel} does not answer: check REDIS_SENTINELS and CACHE_REDIS_SENTINELS`;
  return message.replace(/\.$/, '');
}

/** A Redis that would lose promises; the message says what to set. */
export class UnfitRedisError extends Error {
  override name = 'UnfitRedisError';
}

export const isCluster = (redis: object): redis is Cluster => redis instanceof Cluster;

/** Of a cluster every master: keys lie on all of them. */
export const serversOf = (redis: Connection): Redis[] => (isCluster(redis) ? redis.nodes('master') : [redis]);

/**
 * Refuses a queue Redis that evicts keys, keeps nothing on disk or is too old; of a cluster, one with such a master.
 * Reads INFO alone, which managed services allow where they forbid CONFIG.
 */
export async function checkQueueRedis(redis: Connection, user = 'default'): Promise<void> {
  const infos = await Promise.all(serversOf(redis).map((server) => server.info())).catch((error: unknown) => {
    if (codeOf(error) === '') throw error;
    throw new UnfitRedisError(explainRedisFault(error, { setting: 'REDIS_URL', user }, 'info'), { cause: error });
  });
  const problems = new Set(infos.flatMap((info) => problemsOf(info, isCluster(redis))));
  if (problems.size > 0)
    throw new UnfitRedisError(`The queue Redis (REDIS_URL) cannot be used: ${[...problems].join('; ')}.`);
}

function problemsOf(info: string, isCluster: boolean): string[] {
  const field = (name: string) => new RegExp(`^${name}:(.*?)\r?$`, 'm').exec(info)?.[1];
  const problems: string[] = [];
  if (field('cluster_enabled') === '1' && !isCluster)
    problems.push('it is a node of a Redis Cluster: set REDIS_CLUSTER=true');
  if (field('role') === 'slave')
    problems.push(
      'it is a read-only replica: let the address lead to the primary, or promote it with REPLICAOF NO ONE',
    );
  const policy = field('maxmemory_policy');
  if (policy !== undefined && policy !== 'noeviction')
    problems.push(
      `its maxmemory-policy is '${policy}' and it would evict accepted work: set maxmemory-policy noeviction`,
    );
  if (field('aof_enabled') === '0')
    problems.push('it keeps no append-only file and would lose accepted work when it restarts: set appendonly yes');
  const version = field('valkey_version') ? '7.2' : (field('redis_version') ?? '0');
  if (Number.parseInt(version, 10) < 7) problems.push(`it is version ${version}: Redis 7.0 or Valkey 8 is needed`);
  return problems;
}

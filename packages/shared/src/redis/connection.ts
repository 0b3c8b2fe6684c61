/**
 * Opens connections to Redis, and checks that a server is fit to be the queue Redis. docs/reliability.md lists the faults behind
 * the settings.
 */
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { timeOutCommands } from './command-deadlines.ts';
import type { ConnectionGroup } from './connection-group.ts';
import { codeOf, explainRedisFault } from './redis-fault.ts';
import { type Sentinels, sentinelOptions } from './sentinels.ts';

export type Connection = Redis | Cluster;

/** Reconnects soon after an outage: the default back-off of a cluster waits for up to 20 s after the outage has ended. */
const retryStrategy = (times: number): number => Math.min(50 * times, 500);

/** Longer than any blocking call of Millrace or BullMQ waits for a reply: after this time the server counts as unreachable. */
const SILENCE_MS = 30_000;

/** The time limit of a new connection, and of each command that opens the connection. */
const OPEN_MS = 5_000;

/** Longest pause between two checks of a Redis that loads its data: the default of ioredis is 10 s. */
const LOADING_RETRY_MS = 500;

export interface ConnectOptions {
  cluster?: boolean | undefined;
  timeoutMs?: number;
  silenceMs?: number;
  name?: string;
  /**
   * Joins the commands of a turn of the event loop into one write. A command of `except` already serves many callers, and goes out at
   * once: a pipeline of one command costs more than the command. In a cluster each key has a command, so all commands are joined.
   */
  autoPipeline?: { except: readonly string[] };
  onError?: (error: Error) => void;
  /** Sentinels that name the primary; the host and port of the URL are then not used. */
  sentinels?: Sentinels | undefined;
  /** The group that replaces the connection when the server was demoted. Not for a cluster, which does the same by itself. */
  group?: ConnectionGroup;
  /** Whether the connection is usable before the server has loaded its data, and gets notice of a failover from the sentinels. */
  probe?: boolean;
}

/**
 * `producer` fails fast: for requests that a caller waits for. `blocking` waits without a limit: for workers and listeners, whose
 * calls take longer than any time-out. A blocking connection whose call has no reply for `silenceMs` is closed, and the call is
 * repeated on a new connection. Without this limit, a peer that disappears without a message (a machine that loses power) is
 * noticed only after hours.
 */
export function connectRedis(url: string, kind: 'producer' | 'blocking', options: ConnectOptions = {}): Connection {
  const timeoutMs = options.timeoutMs ?? 800;
  const { sentinels, group, probe = false } = options;
  const redisOptions: RedisOptions = {
    retryStrategy,
    maxLoadingRetryTime: LOADING_RETRY_MS,
    connectTimeout: OPEN_MS,
    enableReadyCheck: !probe,
    connectionName: options.name,
    enableAutoPipelining: options.autoPipeline !== undefined,
    autoPipeliningIgnoredCommands: options.cluster ? [] : [...(options.autoPipeline?.except ?? [])],
    ...(kind === 'producer'
      ? {
          maxRetriesPerRequest: 1,
          enableOfflineQueue: false,
          // Time limits of the nodes of a cluster are wall time: a counter of ticks on each node stopped a failover.
          ...(options.cluster ? { commandTimeout: timeoutMs } : {}),
        }
      : { maxRetriesPerRequest: null, socketTimeout: options.silenceMs ?? SILENCE_MS }),
  };
  const redis: Connection = options.cluster
    ? new Cluster([url, ...nodesOf(url).values()], {
        redisOptions: { ...redisOptions, ...credentials(url) },
        clusterRetryStrategy: retryStrategy,
        enableOfflineQueue: kind === 'blocking',
        enableAutoPipelining: options.autoPipeline !== undefined,
        // While a master fails over, each retry counts as a redirection and follows after 100 ms: blocking connections never stop.
        maxRedirections: kind === 'blocking' ? Number.POSITIVE_INFINITY : 16,
        // A refusal (CLUSTERDOWN) that is retried until the deadline ends as a time-out, and a time-out names no cause.
        ...(kind === 'producer' ? { retryDelayOnClusterDown: 0 } : {}),
        // Certificates contain host names: the client connects to the names that the cluster announces, and does not resolve them
        // first.
        ...(url.startsWith('rediss:') ? { dnsLookup: (address, callback) => callback(null, address) } : {}),
      })
    : single((own) => {
        const all = { ...redisOptions, ...own };
        if (!sentinels) return new Redis(url, all);
        // The ready check compares the role of the server with the role that the sentinels report: the probe needs this check too.
        const named = { ...sentinelOptions(sentinels, url), failoverDetector: probe, enableReadyCheck: true };
        return new Redis({ ...all, ...credentials(url), db: databaseOf(url), ...named });
      }, group);
  if (isCluster(redis)) keepNodes(redis, nodesOf(url));
  else if (kind === 'producer') timeOutCommands(redis, timeoutMs, OPEN_MS);
  redis.on('error', options.onError ?? (() => {}));
  return redis;
}

/** The nodes of a cluster that the connections of this process know, by address. */
type Nodes = Map<string, { host?: string | undefined; port?: number | undefined }>;

/** By the URL of the cluster. A new connection starts from these nodes too, because the node of the URL can be down. */
const nodesByUrl = new Map<string, Nodes>();

function nodesOf(url: string): Nodes {
  const nodes: Nodes = nodesByUrl.get(url) ?? new Map();
  nodesByUrl.set(url, nodes);
  return nodes;
}

function keepNodes(cluster: Cluster, nodes: Nodes): void {
  const addressOf = ({ options }: Redis) => `${options.host}:${options.port}`;
  cluster.on('+node', (node: Redis) => {
    nodes.set(addressOf(node), { host: node.options.host, port: node.options.port });
  });
  cluster.on('-node', (node: Redis) => nodes.delete(addressOf(node)));
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

/** Waits until the connection can be used. Rejects with the cause after `timeoutMs`. */
export async function waitForRedis(redis: Connection, name: string, timeoutMs: number): Promise<void> {
  if (redis.status === 'ready') return;
  let last: Error | undefined;
  const keepError = (error: Error & { lastNodeError?: Error }) => {
    // The error of a single sentinel names a cause, and the summary of all sentinels names none.
    if (last && ALL_SENTINELS.test(error.message)) return;
    last = error.lastNodeError ?? error;
  };
  redis.on('error', keepError);
  redis.on('sentinelError', keepError);
  try {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`${name} cannot be reached: ${last ? reasonOf(last) : `no reply in ${timeoutMs} ms`}.`)),
        timeoutMs,
      );
      redis.once('ready', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  } finally {
    redis.off('error', keepError);
    redis.off('sentinelError', keepError);
  }
}

const ALL_SENTINELS = /^All sentinels are unreachable/;

/** Turns an error that ioredis reports about a sentinel into a sentence that names the setting to check. */
function reasonOf({ message }: Error): string {
  const [, sentinel, cause] = /^(?:failed to connect|connected) to sentinel (\S+) (.*)$/s.exec(message) ?? [];
  if (sentinel === undefined || cause === undefined) return message.replace(/\.$/, '');
  if (/No such master|invalid reply: null/.test(cause))
    return `sentinel ${sentinel} has no primary of that name: check REDIS_SENTINEL_PRIMARY and CACHE_REDIS_SENTINEL_PRIMARY`;
  if (/Connection is closed|ECONNREFUSED/.test(cause))
    return `sentinel ${sentinel} does not respond: check REDIS_SENTINELS and CACHE_REDIS_SENTINELS`;
  return message.replace(/\.$/, '');
}

/** A Redis that would lose promises. The message names the setting to change. */
export class UnfitRedisError extends Error {
  override name = 'UnfitRedisError';
}

export const isCluster = (redis: object): redis is Cluster => redis instanceof Cluster;

/** Returns the server, or every master of a cluster, because the keys are spread over all masters. */
export const serversOf = (redis: Connection): Redis[] => (isCluster(redis) ? redis.nodes('master') : [redis]);

/**
 * Refuses a queue Redis that evicts keys, has no append-only file or is too old, and a cluster with such a master. Reads only INFO,
 * because managed services often forbid CONFIG.
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
    problems.push('the server is a node of a Redis Cluster: set REDIS_CLUSTER=true');
  if (field('role') === 'slave')
    problems.push(
      'the server is a read-only replica: let the address lead to the primary, or promote the replica with REPLICAOF NO ONE',
    );
  const policy = field('maxmemory_policy');
  if (policy !== undefined && policy !== 'noeviction')
    problems.push(`maxmemory-policy is '${policy}', which evicts accepted work: set maxmemory-policy noeviction`);
  if (field('aof_enabled') === '0')
    problems.push('the server has no append-only file and loses accepted work in a restart: set appendonly yes');
  const version = field('valkey_version') ? '7.2' : (field('redis_version') ?? '0');
  if (Number.parseInt(version, 10) < 7) problems.push(`the version is ${version}: Redis 7.0 or Valkey 8 is needed`);
  return problems;
}

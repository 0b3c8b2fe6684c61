/** Every setting of every process, read once from the environment. docs/configuration.md is held to this table by test. */

import { parseAddress } from './sentinel-address.ts';

type Kind = 'url' | 'integer' | 'number' | 'text' | 'list' | 'flag' | 'secret';

export interface Setting {
  name: string;
  kind: Kind;
  /** Text as it would stand in the environment; undefined where there is none. */
  default: string | undefined;
  min?: number;
  max?: number;
  oneOf?: readonly string[];
  about: string;
}

/** Its kind as a literal: the type of the value is made of it. */
type Of<K extends Kind> = Setting & { kind: K };

const text = (name: string, value: string | undefined, about: string, oneOf?: readonly string[]): Of<'text'> => ({
  name,
  kind: 'text',
  default: value,
  about,
  ...(oneOf ? { oneOf } : {}),
});
const url = (name: string, value: string | undefined, about: string): Of<'url'> => ({
  name,
  kind: 'url',
  default: value,
  about,
});
const secret = (name: string, about: string): Of<'secret'> => ({ name, kind: 'secret', default: undefined, about });
const list = (name: string, value: string, about: string): Of<'list'> => ({
  name,
  kind: 'list',
  default: value,
  about,
});
const flag = (name: string, value: boolean, about: string): Of<'flag'> => ({
  name,
  kind: 'flag',
  default: String(value),
  about,
});
const integer = (name: string, value: number, min: number, max: number, about: string): Of<'integer'> => ({
  name,
  kind: 'integer',
  default: String(value),
  min,
  max,
  about,
});

const MIB = 1_048_576;

const SETTINGS = {
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
  redisSentinels: list(
    'REDIS_SENTINELS',
    '',
    'Sentinels of the queue Redis, each `host:port`. The sentinels name the primary; the scheme, user, password and database number come from `REDIS_URL`.',
  ),
  redisSentinelPrimary: text('REDIS_SENTINEL_PRIMARY', 'mymaster', 'Name of the primary in `REDIS_SENTINELS`.'),
  redisSentinelUsername: text(
    'REDIS_SENTINEL_USERNAME',
    undefined,
    'User for the sentinels, if the sentinels have ACLs.',
  ),
  redisSentinelPassword: secret('REDIS_SENTINEL_PASSWORD', 'Password of the sentinels.'),
  cacheRedisSentinels: list(
    'CACHE_REDIS_SENTINELS',
    '',
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
  modelsDir: text('MODELS_DIR', 'models', 'Folder of models, in the layout of docs/models.md.'),
  logLevel: text('LOG_LEVEL', 'info', 'Lowest level that is logged.', [
    'fatal',
    'error',
    'warn',
    'info',
    'debug',
    'trace',
    'silent',
  ]),
  host: text('HOST', '127.0.0.1', 'Address the API listens on.'),
  port: integer('PORT', 8080, 0, 65_535, 'Port the API listens on.'),
  publicUrl: url('PUBLIC_URL', undefined, 'Public URL of the API; the prefix of paths in webhook payloads.'),
  shutdownMs: integer('SHUTDOWN_MS', 25_000, 100, 600_000, 'Deadline of a graceful stop.'),
  apiKeysRequired: flag(
    'API_KEYS_REQUIRED',
    false,
    'Require an API key on every route except the public routes (operations.md); `npm run keys` creates keys.',
  ),
  bodyLimit: integer('BODY_LIMIT', 8 * MIB, 1_024, 1_024 * MIB, 'Maximum size of a request body, bytes.'),
  // JSON is parsed in one go: 8 MiB of it would hold the event loop for up to 170 ms, and every other caller with it.
  jsonLimit: integer(
    'JSON_LIMIT',
    2 * MIB,
    1_024,
    1_024 * MIB,
    'Maximum size of the JSON in a body, bytes; at most `BODY_LIMIT`. Binary tensors do not count.',
  ),
  jsonDepth: integer('JSON_DEPTH', 64, 4, 512, 'Maximum nesting of a JSON body.'),
  jsonMembers: integer('JSON_MEMBERS', 1_000, 16, 1_000_000, 'Maximum number of members of one object in a JSON body.'),
  // Each costs about a microsecond to build and check, and all other callers wait meanwhile.
  jsonItems: integer(
    'JSON_ITEMS',
    50_000,
    100,
    10_000_000,
    'Maximum number of members and objects of a JSON body (four arrays, or four members named as in the object before, count as one object), and of strings of a binary tensor.',
  ),
  maxRows: integer('MAX_ROWS', 10_000, 1, 1_000_000, 'Maximum number of rows in one prediction.'),
  maxStringLength: integer(
    'MAX_STRING_LENGTH',
    2_000_000,
    16,
    100 * MIB,
    'Maximum length of a string in a JSON body, characters.',
  ),
  maxMetadata: integer('MAX_METADATA', 4_096, 2, MIB, 'Maximum size of `metadata`, bytes of JSON.'),
  maxHeaders: integer('MAX_HEADERS', 100, 10, 2_000, 'Maximum number of headers in a request.'),
  requestTimeoutMs: integer('REQUEST_TIMEOUT_MS', 30_000, 100, 600_000, 'Time in which a request must arrive.'),
  connectionTimeoutMs: integer(
    'CONNECTION_TIMEOUT_MS',
    120_000,
    1_000,
    3_600_000,
    'Time after which an idle connection is closed; longer than any wait.',
  ),
  maxQueue: integer('MAX_QUEUE', 2_000_000, 1, 1_000_000_000, 'Maximum number of waiting predictions of one model.'),
  maxMemoryShare: integer(
    'MAX_MEMORY_SHARE',
    70,
    1,
    100,
    'Percent of the maxmemory of the queue Redis at which the API refuses new work.',
  ),
  storeTimeoutMs: integer('STORE_TIMEOUT_MS', 700, 50, 60_000, 'Time that the API waits for Redis or Postgres.'),
  maxClockSkewMs: integer(
    'MAX_CLOCK_SKEW_MS',
    5_000,
    100,
    3_600_000,
    'Maximum difference between the clock of a process and the clock of Postgres; beyond this difference the process takes no work.',
  ),
  liveTtlMs: integer('LIVE_TTL_MS', 600_000, 10_000, 604_800_000, 'Time that Redis keeps a terminal prediction.'),
  queryTtlMs: integer(
    'QUERY_TTL_MS',
    3_600_000,
    1_000,
    604_800_000,
    'Time that the model list and entities are cached.',
  ),
  expiresInDefaultS: integer(
    'EXPIRES_IN_DEFAULT',
    86_400,
    1,
    604_800,
    'Deadline of a prediction without `expires_in`, seconds.',
  ),
  workerRoles: {
    name: 'WORKER_ROLES',
    kind: 'list',
    default: 'inference,webhooks,recorder',
    oneOf: ['inference', 'webhooks', 'recorder'],
    about: 'Roles of this worker.',
  },
  workerModels: list('WORKER_MODELS', '', 'Models that this worker serves. Default: all models.'),
  workerPort: integer('WORKER_PORT', 0, 0, 65_535, 'Port of the worker health and metrics; 0 selects a free port.'),
  workerHost: text('WORKER_HOST', '127.0.0.1', 'Address of the worker health and metrics.'),
  engines: integer('ENGINES', 0, 0, 256, 'Engines of a worker; 0 means one engine for every two cores.'),
  workerConcurrency: integer(
    'WORKER_CONCURRENCY',
    64,
    1,
    1_024,
    'Maximum number of jobs of one model that a worker holds; a worker also stops at a second of work.',
  ),
  engineMemoryMb: integer('ENGINE_MEMORY_MB', 2_048, 128, 1_048_576, 'Memory at which an engine is replaced.'),
  loadMemoryMb: integer('LOAD_MEMORY_MB', 1_024, 64, 1_048_576, 'Memory limit of the first load of a model file.'),
  loadTimeoutMs: integer('LOAD_TIMEOUT_MS', 60_000, 100, 3_600_000, 'Time limit of the first load of a model file.'),
  lockMs: integer('LOCK_MS', 30_000, 1_000, 3_600_000, 'Duration of the BullMQ lock of a job.'),
  heartbeatMs: integer(
    'HEARTBEAT_MS',
    1_000,
    100,
    60_000,
    'Interval of the worker heartbeat; a worker that misses three heartbeats counts as dead.',
  ),
  maxAttempts: integer(
    'MAX_ATTEMPTS',
    4,
    1,
    100,
    'Number of executions lost with their worker after which a prediction fails.',
  ),
  scanMs: integer('SCAN_MS', 2_000, 100, 3_600_000, 'Interval between two scans of the models folder.'),
  reconcileMs: integer(
    'RECONCILE_MS',
    2_000,
    100,
    3_600_000,
    'Interval between two comparisons of the ledger with Redis.',
  ),
  recorderLagMs: integer(
    'RECORDER_LAG_MS',
    30_000,
    1_000,
    3_600_000,
    'Age of an unrecorded end at which a worker with the role `recorder` is not ready.',
  ),
  retentionDays: integer(
    'RETENTION_DAYS',
    30,
    1,
    3_650,
    'Days that the ledger keeps; an older day is dropped when no prediction of the day is open.',
  ),
  webhookHttp: flag('WEBHOOK_ALLOW_HTTP', false, 'Allow http:// webhooks; for development.'),
  webhookNetworks: list('WEBHOOK_ALLOWED_NETWORKS', '', 'Private networks (CIDR) that webhooks may reach.'),
  webhookTimeoutMs: integer('WEBHOOK_TIMEOUT_MS', 15_000, 100, 60_000, 'Time limit of a webhook attempt.'),
  webhookConcurrency: integer('WEBHOOK_CONCURRENCY', 64, 1, 1_024, 'Concurrent webhook attempts in a worker.'),
  webhookPerEndpoint: integer(
    'WEBHOOK_PER_ENDPOINT',
    16,
    1,
    64,
    'Maximum number of concurrent webhook attempts for one endpoint.',
  ),
} as const satisfies Record<string, Setting>;

export const settings: readonly Setting[] = Object.values(SETTINGS);

type Optional =
  | 'publicUrl'
  | 'redisSentinelUsername'
  | 'redisSentinelPassword'
  | 'cacheRedisSentinelPrimary'
  | 'cacheRedisSentinelUsername'
  | 'cacheRedisSentinelPassword';
type Value<S extends Setting> = S['kind'] extends 'integer' | 'number'
  ? number
  : S['kind'] extends 'list'
    ? readonly string[]
    : S['kind'] extends 'flag'
      ? boolean
      : string;

export type Config = Readonly<{
  [K in keyof typeof SETTINGS]: K extends Optional ? string | undefined : Value<(typeof SETTINGS)[K]>;
}>;

/** A setting that cannot be used; `problems` has a sentence for each. */
export class ConfigError extends Error {
  override name = 'ConfigError';
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(`The configuration cannot be used:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.problems = problems;
  }
}

/** Reads and checks every setting; throws one ConfigError that names all that is wrong. */
export function loadConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const problems: string[] = [];
  const out: Record<string, unknown> = {};
  for (const [key, setting] of Object.entries(SETTINGS) as [string, Setting][]) {
    const given = env[setting.name]?.trim();
    const value = given === undefined || given === '' ? setting.default : given;
    out[key] = value === undefined ? undefined : read(setting, value, problems);
  }
  const ownCache = out.cacheRedisUrl !== undefined;
  out.cacheRedisUrl ??= out.redisUrl;
  problems.push(...sentinelProblems(out as Config));
  // Without an address of its own the cache is the queue Redis, and found as that is.
  if (!ownCache && (out as Config).cacheRedisSentinels.length === 0)
    for (const part of ['Sentinels', 'SentinelPrimary', 'SentinelUsername', 'SentinelPassword'])
      out[`cacheRedis${part}`] = out[`redis${part}`];
  if (problems.length > 0) throw new ConfigError(problems);
  return Object.freeze(out) as Config;
}

function sentinelProblems(config: Config): string[] {
  const { redisSentinels, cacheRedisSentinels, redisCluster, cacheRedisSentinelPrimary } = config;
  const problems: string[] = [];
  for (const [name, addresses] of [
    ['REDIS_SENTINELS', redisSentinels],
    ['CACHE_REDIS_SENTINELS', cacheRedisSentinels],
  ] as const)
    for (const address of addresses)
      if (!parseAddress(address)) problems.push(`${name} must hold addresses as host:port, and holds '${address}'.`);
  if (redisSentinels.length > 0 && redisCluster)
    problems.push('REDIS_SENTINELS and REDIS_CLUSTER exclude each other: set one of them.');
  if (cacheRedisSentinels.length > 0 && cacheRedisSentinelPrimary === undefined)
    problems.push('CACHE_REDIS_SENTINEL_PRIMARY must name the primary, since CACHE_REDIS_SENTINELS is set.');
  return problems;
}

function read(setting: Setting, value: string, problems: string[]): unknown {
  const { name } = setting;
  switch (setting.kind) {
    case 'integer':
    case 'number': {
      const number = Number(value);
      const whole = setting.kind === 'number' || Number.isInteger(number);
      if (!whole || !(number >= (setting.min ?? -Infinity) && number <= (setting.max ?? Infinity)))
        problems.push(`${name} must be a whole number from ${setting.min} to ${setting.max}, and is '${value}'.`);
      return number;
    }
    case 'flag':
      if (!/^(true|false|1|0|yes|no)$/i.test(value)) problems.push(`${name} must be true or false, and is '${value}'.`);
      return /^(true|1|yes)$/i.test(value);
    case 'list': {
      const items = value
        .split(',')
        .map((item) => item.trim())
        .filter(Boolean);
      for (const item of items)
        if (setting.oneOf && !setting.oneOf.includes(item))
          problems.push(`${name} may hold ${setting.oneOf.join(', ')}, and holds '${item}'.`);
      return Object.freeze(items);
    }
    case 'url':
      // The value may hold a password: it is never repeated in a message.
      if (!URL.canParse(value)) problems.push(`${name} must be a URL.`);
      return value;
    default:
      if (setting.oneOf && !setting.oneOf.includes(value))
        problems.push(`${name} must be one of ${setting.oneOf.join(', ')}, and is '${value}'.`);
      return value;
  }
}

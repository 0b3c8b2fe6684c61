/** Every setting of every process, read once from the environment. A test compares docs/configuration.md with this table. */

import { parseAddress } from './sentinel-address.ts';

type Kind = 'url' | 'integer' | 'number' | 'text' | 'list' | 'flag' | 'secret';

export interface Setting {
  name: string;
  kind: Kind;
  /** The default as text, as in the environment; undefined when the setting has no default. */
  default: string | undefined;
  min?: number;
  max?: number;
  oneOf?: readonly string[];
  about: string;
}

/** A setting with its kind as a literal type. `Config` derives the type of the value from the kind. */
type Of<K extends Kind> = Setting & { kind: K };

const text = (name: string, value: string | undefined, about: string): Of<'text'> => ({
  name,
  kind: 'text',
  default: value,
  about,
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
const integer = (name: string, range: { default: number; min: number; max: number; about: string }): Of<'integer'> => ({
  name,
  kind: 'integer',
  ...range,
  default: String(range.default),
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
  logLevel: {
    ...text('LOG_LEVEL', 'info', 'Lowest level that is logged.'),
    oneOf: ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
  },
  accessLog: flag('ACCESS_LOG', false, 'Whether the API logs a line for each request.'),
  host: text('HOST', '127.0.0.1', 'Address the API listens on.'),
  port: integer('PORT', { default: 8080, min: 0, max: 65_535, about: 'Port the API listens on.' }),
  apiProcesses: integer('API_PROCESSES', {
    default: 1,
    min: 1,
    max: 64,
    about: 'API processes that share the port on this machine.',
  }),
  publicUrl: url(
    'PUBLIC_URL',
    undefined,
    'Public URL of the API, with its path prefix if any: all links in responses and webhooks begin with this URL. Without `PUBLIC_URL` links are paths.',
  ),
  traceUrl: url(
    'TRACE_URL',
    undefined,
    'URL of a trace in the store of traces, with `{trace_id}` in the place of the id: the console links each prediction to its trace.',
  ),
  shutdownMs: integer('SHUTDOWN_MS', {
    default: 25_000,
    min: 100,
    max: 600_000,
    about: 'Deadline of a graceful stop.',
  }),
  apiKeysRequired: flag(
    'API_KEYS_REQUIRED',
    false,
    'Require an API key on every route except the public routes (operations.md); `npm run keys` creates keys.',
  ),
  console: flag('CONSOLE', true, 'Serve the console at `/console`.'),
  bodyLimit: integer('BODY_LIMIT', {
    default: 8 * MIB,
    min: 1_024,
    max: 1_024 * MIB,
    about: 'Maximum size of a request body, bytes.',
  }),
  slotMemoryMb: integer('SLOT_MEMORY', {
    default: 256,
    min: 0,
    max: 1_048_576,
    about:
      'Megabytes of shared memory (`/dev/shm`) for large tensors of waiting callers, for each API process, where API and all workers share a machine. 0: large tensors go through Redis.',
  }),
  bodyMemoryMb: integer('BODY_MEMORY', {
    default: 128,
    min: 1,
    max: 1_048_576,
    about: 'Maximum size of all request bodies that an API process holds at once, MiB; further requests get 429.',
  }),
  // JSON is parsed in a single step. 8 MiB of JSON would block the event loop, and every other caller, for up to 170 ms.
  jsonLimit: integer('JSON_LIMIT', {
    default: 2 * MIB,
    min: 1_024,
    max: 1_024 * MIB,
    about: 'Maximum size of the JSON in a body, bytes; at most `BODY_LIMIT`. Binary tensors do not count.',
  }),
  jsonDepth: integer('JSON_DEPTH', { default: 64, min: 4, max: 512, about: 'Maximum nesting of a JSON body.' }),
  jsonMembers: integer('JSON_MEMBERS', {
    default: 1_000,
    min: 16,
    max: 1_000_000,
    about: 'Maximum number of members of one object in a JSON body.',
  }),
  // Each item takes about a microsecond to build and check, and blocks all other callers in that time.
  jsonItems: integer('JSON_ITEMS', {
    default: 50_000,
    min: 100,
    max: 10_000_000,
    about:
      'Maximum number of members and objects of a JSON body (four arrays, or four members with the names of the previous object, count as one object), and of strings of a binary tensor.',
  }),
  maxRows: integer('MAX_ROWS', {
    default: 10_000,
    min: 1,
    max: 1_000_000,
    about: 'Maximum number of rows in one prediction.',
  }),
  maxStringLength: integer('MAX_STRING_LENGTH', {
    default: 2_000_000,
    min: 16,
    max: 100 * MIB,
    about: 'Maximum length of a string in a JSON body, characters.',
  }),
  maxMetadata: integer('MAX_METADATA', {
    default: 32_768,
    min: 2,
    max: MIB,
    about: 'Maximum size of `metadata`, bytes of JSON.',
  }),
  maxHeaders: integer('MAX_HEADERS', {
    default: 100,
    min: 10,
    max: 2_000,
    about: 'Maximum number of headers in a request.',
  }),
  requestTimeoutMs: integer('REQUEST_TIMEOUT_MS', {
    default: 30_000,
    min: 100,
    max: 600_000,
    about: 'Time in which a request must arrive.',
  }),
  connectionTimeoutMs: integer('CONNECTION_TIMEOUT_MS', {
    default: 120_000,
    min: 1_000,
    max: 3_600_000,
    about: 'Time after which an idle connection is closed; longer than any wait.',
  }),
  handlerThreads: integer('HANDLER_THREADS', {
    default: 2,
    min: 1,
    max: 64,
    about:
      'Threads of an API process for the handlers of models. A tenant never uses the last thread, unless there is only one.',
  }),
  handlerTimeoutMs: integer('HANDLER_TIMEOUT_MS', {
    default: 5_000,
    min: 50,
    max: 600_000,
    about:
      'Limit of processor time of `canonicalize` for one input. An input may take twelve times as long with its waits, and so may all inputs of a request.',
  }),
  maxQueue: integer('MAX_QUEUE', {
    default: 2_000_000,
    min: 1,
    max: 1_000_000_000,
    about: 'Maximum number of waiting predictions of one model.',
  }),
  maxMemoryShare: integer('MAX_MEMORY_SHARE', {
    default: 70,
    min: 1,
    max: 100,
    about: 'Percent of the maxmemory of the queue Redis at which the API refuses new work.',
  }),
  storeTimeoutMs: integer('STORE_TIMEOUT_MS', {
    default: 700,
    min: 50,
    max: 60_000,
    about: 'Time that the API waits for Redis or Postgres.',
  }),
  maxClockSkewMs: integer('MAX_CLOCK_SKEW_MS', {
    default: 5_000,
    min: 100,
    max: 3_600_000,
    about:
      'Maximum difference between the clock of a process and the clock of Postgres; beyond this difference the process takes no work.',
  }),
  liveTtlMs: integer('LIVE_TTL_MS', {
    default: 600_000,
    min: 10_000,
    max: 604_800_000,
    about: 'Time that Redis keeps a terminal prediction.',
  }),
  queryTtlMs: integer('QUERY_TTL_MS', {
    default: 3_600_000,
    min: 1_000,
    max: 604_800_000,
    about: 'Time that the model list and entities are cached.',
  }),
  expiresInDefaultS: integer('EXPIRES_IN_DEFAULT', {
    default: 86_400,
    min: 1,
    max: 604_800,
    about: 'Deadline of a prediction without `expires_in`, seconds.',
  }),
  workerRoles: {
    name: 'WORKER_ROLES',
    kind: 'list',
    default: 'inference,webhooks,recorder',
    oneOf: ['inference', 'webhooks', 'recorder'],
    about: 'Roles of this worker.',
  },
  workerModels: list('WORKER_MODELS', '', 'Models that this worker serves. Default: all models.'),
  workerPort: integer('WORKER_PORT', {
    default: 0,
    min: 0,
    max: 65_535,
    about: 'Port of the worker health and metrics; 0 selects a free port.',
  }),
  workerHost: text('WORKER_HOST', '127.0.0.1', 'Address of the worker health and metrics.'),
  engines: integer('ENGINES', {
    default: 0,
    min: 0,
    max: 256,
    about: 'Engines of a worker; 0 means one engine for every two cores.',
  }),
  engineDevices: list(
    'ENGINE_DEVICES',
    '',
    'Devices of the engines: execution providers of onnxruntime, each with the number of a device if there are several, such as `cpu,cuda:0,cuda:1`. Default: `cpu`, and the first device of each provider that a model names.',
  ),
  workerConcurrency: integer('WORKER_CONCURRENCY', {
    default: 64,
    min: 1,
    max: 1_024,
    about: 'Maximum number of jobs of one model that a worker holds; a worker also stops at a second of work.',
  }),
  engineMemoryMb: integer('ENGINE_MEMORY_MB', {
    default: 2_048,
    min: 128,
    max: 1_048_576,
    about: 'Memory at which an engine is replaced.',
  }),
  engineIdleS: integer('ENGINE_IDLE', {
    default: 300,
    min: 0,
    max: 604_800,
    about: 'Seconds without a run after which an engine is ended; 0 keeps all engines.',
  }),
  loadMemoryMb: integer('LOAD_MEMORY_MB', {
    default: 1_024,
    min: 64,
    max: 1_048_576,
    about: 'Memory limit of the first load of a model file.',
  }),
  loadTimeoutMs: integer('LOAD_TIMEOUT_MS', {
    default: 60_000,
    min: 100,
    max: 3_600_000,
    about: 'Time limit of the first load of a model file.',
  }),
  lockMs: integer('LOCK_MS', {
    default: 30_000,
    min: 1_000,
    max: 3_600_000,
    about: 'Duration of the BullMQ lock of a job.',
  }),
  heartbeatMs: integer('HEARTBEAT_MS', {
    default: 1_000,
    min: 100,
    max: 60_000,
    about: 'Interval of the worker heartbeat; a worker that misses three heartbeats counts as dead.',
  }),
  maxAttempts: integer('MAX_ATTEMPTS', {
    default: 4,
    min: 1,
    max: 100,
    about: 'Number of executions lost with their worker after which a prediction fails.',
  }),
  scanMs: integer('SCAN_MS', {
    default: 2_000,
    min: 100,
    max: 3_600_000,
    about: 'Interval between two scans of the models folder.',
  }),
  watchModels: flag(
    'WATCH_MODELS',
    false,
    'Serve edited files of a version as a version of their own; for development, as `npm start -- --watch`.',
  ),
  reconcileMs: integer('RECONCILE_MS', {
    default: 2_000,
    min: 100,
    max: 3_600_000,
    about: 'Interval between two comparisons of the ledger with Redis.',
  }),
  recorderLagMs: integer('RECORDER_LAG_MS', {
    default: 30_000,
    min: 1_000,
    max: 3_600_000,
    about: 'Age of an unrecorded end at which a worker with the role `recorder` is not ready.',
  }),
  retentionDays: integer('RETENTION_DAYS', {
    default: 30,
    min: 1,
    max: 3_650,
    about: 'Days that the ledger keeps; an older day is dropped when no prediction of the day is open.',
  }),
  statsRetentionDays: integer('STATS_RETENTION_DAYS', {
    default: 30,
    min: 1,
    max: 3_650,
    about: 'Days that the counts by minute and by hour are kept, for `GET /v1/stats`.',
  }),
  filesUrl: text(
    'FILES_URL',
    undefined,
    'Where the bytes of `/v1/files` are: a folder that all API processes and workers share, or `s3://bucket/prefix`. Without `FILES_URL` there are no files.',
  ),
  filesS3Endpoint: url(
    'FILES_S3_ENDPOINT',
    undefined,
    'URL of an S3-compatible store. Default: Amazon S3 in `FILES_S3_REGION`.',
  ),
  filesS3Region: text('FILES_S3_REGION', 'us-east-1', 'Region of the S3 store.'),
  filesS3AccessKeyId: secret('FILES_S3_ACCESS_KEY_ID', 'Access key of the S3 store. Required with `s3://`.'),
  filesS3SecretAccessKey: secret('FILES_S3_SECRET_ACCESS_KEY', 'Secret key of the S3 store. Required with `s3://`.'),
  filesTtlS: integer('FILES_TTL', {
    default: 2_592_000,
    min: 60,
    max: 315_360_000,
    about: 'Longest life of a file, and the life of a file without `expires_in`, seconds.',
  }),
  fileLimit: integer('FILE_LIMIT', {
    default: 1_024 * MIB,
    min: 1_024,
    max: 65_536 * MIB,
    about: 'Maximum size of a file, bytes.',
  }),
  filesPerTenant: integer('FILES_PER_TENANT', {
    default: 20_480 * MIB,
    min: 1_024,
    max: 1_073_741_824 * MIB,
    about: 'Maximum size of all files of a tenant, bytes.',
  }),
  uploadTimeoutMs: integer('UPLOAD_TIMEOUT_MS', {
    default: 3_600_000,
    min: 1_000,
    max: 86_400_000,
    about: 'Time in which an upload must arrive. An upload that sends no byte for `REQUEST_TIMEOUT_MS` also ends.',
  }),
  imageLimit: integer('IMAGE_LIMIT', {
    default: 8 * MIB,
    min: 1_024,
    max: 11 * MIB,
    about: 'Maximum size of an image that an input names by URL or file, bytes.',
  }),
  imageTimeoutMs: integer('IMAGE_TIMEOUT_MS', {
    default: 10_000,
    min: 100,
    max: 60_000,
    about: 'Time limit for the fetch of an image, with its redirects.',
  }),
  imageHttp: flag('IMAGE_ALLOW_HTTP', false, 'Allow http:// URLs of images; for development.'),
  imageNetworks: list('IMAGE_ALLOWED_NETWORKS', '', 'Private networks (CIDR) from which images may be fetched.'),
  webhookHttp: flag('WEBHOOK_ALLOW_HTTP', false, 'Allow http:// webhooks; for development.'),
  webhookNetworks: list('WEBHOOK_ALLOWED_NETWORKS', '', 'Private networks (CIDR) that webhooks may reach.'),
  webhookTimeoutMs: integer('WEBHOOK_TIMEOUT_MS', {
    default: 15_000,
    min: 100,
    max: 60_000,
    about: 'Time limit of a webhook attempt.',
  }),
  webhookConcurrency: integer('WEBHOOK_CONCURRENCY', {
    default: 64,
    min: 1,
    max: 1_024,
    about: 'Concurrent webhook attempts in a worker.',
  }),
  webhookPerEndpoint: integer('WEBHOOK_PER_ENDPOINT', {
    default: 16,
    min: 1,
    max: 64,
    about: 'Maximum number of concurrent webhook attempts for one endpoint.',
  }),
} as const satisfies Record<string, Setting>;

export const settings: readonly Setting[] = Object.values(SETTINGS);

type Optional =
  | 'publicUrl'
  | 'filesUrl'
  | 'filesS3Endpoint'
  | 'filesS3AccessKeyId'
  | 'filesS3SecretAccessKey'
  | 'traceUrl'
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

/** Thrown for invalid settings; `problems` has a sentence for each. */
export class ConfigError extends Error {
  override name = 'ConfigError';
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(`The configuration is invalid:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.problems = problems;
  }
}

/** Reads and checks every setting. Throws a ConfigError that names every invalid setting. */
export function loadConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const problems: string[] = [];
  const out: Record<string, unknown> = {};
  const entries: [string, Setting][] = Object.entries(SETTINGS);
  for (const [key, setting] of entries) {
    const given = env[setting.name]?.trim();
    const value = given === undefined || given === '' ? setting.default : given;
    out[key] = value === undefined ? undefined : read(setting, value, problems);
  }
  const ownCache = out.cacheRedisUrl !== undefined;
  out.cacheRedisUrl ??= out.redisUrl;
  const config = out as Config;
  if (config.traceUrl !== undefined && !/^https?:\/\/.*\{trace_id\}/i.test(config.traceUrl))
    problems.push('TRACE_URL must be an http or https URL that has {trace_id} in the place of the id of the trace.');
  for (const device of config.engineDevices)
    if (!/^[a-z]+(:\d{1,3})?$/.test(device))
      problems.push(`ENGINE_DEVICES must hold devices as provider or provider:number, and holds '${device}'.`);
  problems.push(...sentinelProblems(config), ...fileProblems(config));
  // Without an address of its own the cache Redis is the queue Redis, found through the same sentinels.
  if (!ownCache && config.cacheRedisSentinels.length === 0)
    for (const part of ['Sentinels', 'SentinelPrimary', 'SentinelUsername', 'SentinelPassword'])
      out[`cacheRedis${part}`] = out[`redis${part}`];
  if (problems.length > 0) throw new ConfigError(problems);
  return Object.freeze(config);
}

function fileProblems({ filesUrl, filesS3AccessKeyId, filesS3SecretAccessKey }: Config): string[] {
  if (filesUrl === undefined || !/^[a-z][a-z\d+.-]+:/i.test(filesUrl)) return [];
  if (/^file:\/\/\/./.test(filesUrl)) return [];
  if (!/^s3:\/\/[a-z\d][a-z\d.-]{1,62}(\/[\w!.*'()/-]*)?$/.test(filesUrl))
    return ['FILES_URL must be a folder, such as /var/lib/millrace/files, or a bucket, such as s3://bucket/prefix.'];
  if (filesS3AccessKeyId === undefined || filesS3SecretAccessKey === undefined)
    return ['FILES_URL names an S3 store: set FILES_S3_ACCESS_KEY_ID and FILES_S3_SECRET_ACCESS_KEY too.'];
  return [];
}

function sentinelProblems(config: Config): string[] {
  const { redisSentinels, cacheRedisSentinels, redisCluster, cacheRedisSentinelPrimary } = config;
  const problems: string[] = [];
  for (const [name, addresses] of [
    ['REDIS_SENTINELS', redisSentinels],
    ['CACHE_REDIS_SENTINELS', cacheRedisSentinels],
  ] as const)
    for (const address of addresses)
      if (!parseAddress(address))
        problems.push(`${name} must hold addresses as host:port, and holds '${address.replace(/^.*@/s, '...@')}'.`);
  if (redisSentinels.length > 0 && redisCluster)
    problems.push('REDIS_SENTINELS and REDIS_CLUSTER exclude each other: set one of them.');
  if (cacheRedisSentinels.length > 0 && cacheRedisSentinelPrimary === undefined)
    problems.push('CACHE_REDIS_SENTINEL_PRIMARY must name the primary, because CACHE_REDIS_SENTINELS is set.');
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
      problems.push(...urlProblems(name, value));
      return value;
    default:
      if (setting.oneOf && !setting.oneOf.includes(value))
        problems.push(`${name} must be one of ${setting.oneOf.join(', ')}, and is '${value}'.`);
      return value;
  }
}

/** The problems of a URL. The value may contain a password, so no message repeats a part of the value. */
function urlProblems(name: string, value: string): string[] {
  if (!URL.canParse(value)) return [`${name} must be a URL. ${ENCODE}`];
  const { username, password, pathname, search, hash } = new URL(value);
  // Parameters of a Postgres URL may name a user with an @.
  const rest = name === 'DATABASE_URL' ? pathname + hash : pathname + search + hash;
  if (rest.includes('@')) return [`${name} has an @ after its host. ${ENCODE}`];
  if (name === 'PUBLIC_URL' && username + password !== '')
    return [`${name} must not have a user or password: every webhook contains the URL.`];
  if (name.endsWith('REDIS_URL') && /%(?![0-9a-f]{2})/i.test(username + password))
    return [`${name} has a % in its user or password without two hexadecimal digits. Write % as %25.`];
  return [];
}

const ENCODE = 'Write /, ?, # and @ in a user or password as %2F, %3F, %23 and %40.';

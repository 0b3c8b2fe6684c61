/** Every setting of every process, read once from the environment. A test compares docs/configuration.md with the tables of settings. */

import { API_SETTINGS } from './api-settings.ts';
import { FILE_SETTINGS } from './file-settings.ts';
import { type Address, parseAddress } from './sentinel-address.ts';
import type { Setting } from './setting.ts';
import { STORE_SETTINGS } from './store-settings.ts';
import { WEBHOOK_SETTINGS } from './webhook-settings.ts';
import { WORKER_SETTINGS } from './worker-settings.ts';

/** In the order of docs/configuration.md. */
const SETTINGS = {
  ...STORE_SETTINGS,
  ...API_SETTINGS,
  ...WORKER_SETTINGS,
  ...FILE_SETTINGS,
  ...WEBHOOK_SETTINGS,
};

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
    : S['kind'] extends 'addresses'
      ? readonly Address[]
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
  // Without its own address the cache Redis is the queue Redis, found through the same sentinels.
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
    case 'addresses':
      return Object.freeze(itemsOf(value).flatMap((item) => addressOf(name, item, problems)));
    case 'list': {
      const items = itemsOf(value);
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

const itemsOf = (value: string): string[] =>
  value
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean);

function addressOf(name: string, text: string, problems: string[]): Address[] {
  const address = parseAddress(text);
  if (address) return [address];
  // The text before an @ may be a password.
  problems.push(`${name} must hold addresses as host:port, and holds '${text.replace(/^.*@/s, '...@')}'.`);
  return [];
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

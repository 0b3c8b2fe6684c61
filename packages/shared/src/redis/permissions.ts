/**
 * The Redis commands that a user needs, and the check of the permissions, which runs before a missing permission fails a request.
 */
import type { Connection } from './connection.ts';
import { codeOf, type RedisSetting } from './redis-fault.ts';

type Call = readonly [command: string, ...args: string[]];

/** Calls that do no harm to a key of any type. `key` is the key of the probe. Only refusals for a missing permission count. */
const CACHE_CALLS = (key: string): Call[] => [
  ['get', key],
  ['getrange', key, '0', '0'],
  ['strlen', key],
  ['set', key, '1', 'PX', '60000'],
  ['append', key, ''],
  ['setrange', `${key}:none`, '0', ''],
  ['rename', key, key],
  ['pexpire', `${key}:none`, '1'],
  ['del', `${key}:none`],
  ['eval', 'return 1', '1', key],
  ['evalsha', '0'.repeat(40), '1', key],
  // Sent at each connect: a server that still loads its data is not used.
  ['info', 'memory'],
];

const keyCalls = (key: string, none: string): Call[] => [
  ['exists', none],
  ['type', none],
  ['pttl', none],
  ['persist', none],
  ['unlink', none],
  ['mget', key],
  ['incr', key],
];

const hashCalls = (key: string, none: string): Call[] => [
  ['hget', none, 'f'],
  ['hgetall', none],
  ['hkeys', none],
  ['hmget', none, 'f'],
  ['hexists', none, 'f'],
  ['hdel', none, 'f'],
  ['hset', key, 'f', '1'],
  ['hsetnx', key, 'f', '1'],
  ['hmset', key, 'f', '1'],
  ['hincrby', key, 'f', '1'],
];

const listCalls = (key: string, none: string): Call[] => [
  ['lindex', none, '0'],
  ['llen', none],
  ['lpos', none, '1'],
  ['lrange', none, '0', '0'],
  ['lrem', none, '0', '1'],
  ['ltrim', none, '0', '0'],
  ['lpush', key, '1'],
  ['rpush', key, '1'],
  ['rpop', none],
  ['rpoplpush', none, none],
];

const setCalls = (key: string, none: string): Call[] => [
  ['sadd', key, '1'],
  ['srem', none, '1'],
  ['spop', none, '1'],
  ['srandmember', none, '1'],
  ['scard', none],
  ['sismember', none, '1'],
  ['smembers', none],
  ['zadd', key, '1', '1'],
  ['zcard', none],
  ['zcount', none, '0', '0'],
  ['zpopmin', none],
  ['zrange', none, '0', '0'],
  ['zrangebyscore', none, '0', '0'],
  ['zrevrange', none, '0', '0'],
  ['zrevrangebyscore', none, '0', '0'],
  ['zrem', none, '1'],
  ['zscore', none, '1'],
  ['zmscore', none, '1'],
  ['zremrangebyrank', none, '0', '0'],
  ['zremrangebyscore', none, '0', '0'],
  ['bzpopmin', none, '0.001'],
];

const streamCalls = (key: string, none: string): Call[] => [
  ['xadd', key, '*', 'f', '1'],
  ['xtrim', none, 'MAXLEN', '0'],
  ['xread', 'COUNT', '1', 'STREAMS', none, '0'],
  ['xrange', none, '-', '+', 'COUNT', '1'],
  ['xrevrange', none, '+', '-', 'COUNT', '1'],
  ['xack', none, 'g', '0-1'],
  ['xdel', none, '0-1'],
  ['xinfo', 'STREAM', none],
  ['xgroup', 'CREATE', none, 'g', '0'],
  ['xgroup', 'DESTROY', none, 'g'],
  ['xreadgroup', 'GROUP', 'g', 'c', 'COUNT', '1', 'STREAMS', none, '>'],
  ['xautoclaim', none, 'g', 'c', '0', '0'],
];

/**
 * The commands of the scripts of Millrace and of the used scripts of BullMQ: Redis checks the permission for each command of a
 * script. A test compares this list with the commands that a Redis has run. Commands that only change the connection (HELLO,
 * CLIENT, SUBSCRIBE) are not in the list, because a refusal of such a command is visible when the connection is opened.
 */
const QUEUE_CALLS = (key: string): Call[] => {
  const none = `${key}:none`;
  return [
    ...CACHE_CALLS(key),
    ...keyCalls(key, none),
    ...hashCalls(key, none),
    ...listCalls(key, none),
    ...setCalls(key, none),
    ...streamCalls(key, none),
    ['publish', `${key}:channel`, ''],
    ['time'],
  ];
};

const callsOf = (setting: RedisSetting, key: string): Call[] =>
  setting === 'CACHE_REDIS_URL' ? CACHE_CALLS(key) : QUEUE_CALLS(key);

/** Returns the names of the needed commands, in lower case, without SUBSCRIBE and the commands of the category `connection`. */
export const neededCommands = (setting: RedisSetting): string[] => [
  ...new Set(callsOf(setting, '').map(([command]) => command)),
];

export interface MissingPermission {
  command: string;
  error: Error;
}

/** Finds the first command that the user of the connection may not run; undefined when all are permitted. One round trip. */
export async function missingPermission(
  redis: Connection,
  setting: RedisSetting,
  key: string,
): Promise<MissingPermission | undefined> {
  const calls = callsOf(setting, key);
  const replies = (await redis.pipeline(calls.map((call) => [...call])).exec()) ?? [];
  for (const [at, [error]] of replies.entries()) {
    const command = calls[at]?.[0] ?? '';
    if (error && codeOf(error) === 'NOPERM') return { command, error };
  }
  return undefined;
}

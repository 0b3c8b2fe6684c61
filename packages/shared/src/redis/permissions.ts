/** Which commands a user of Redis needs, and whether the user may run them: asked before one of them fails a request. */
import type { Connection } from './connection.ts';
import { codeOf, type RedisSetting } from './redis-fault.ts';

type Call = readonly [command: string, ...args: string[]];

/** Harmless on a key of any type or none. `key` stands for the probe's key: a refusal for another reason is of no interest. */
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
  // Asked at each connection: a server that still loads its data is not used.
  ['info', 'memory'],
];

/**
 * The commands of our scripts and of those of BullMQ's that run here: Redis checks those inside a script as it checks any
 * others. A test compares them with what a Redis has run. Commands that only change the connection itself (HELLO, CLIENT,
 * SUBSCRIBE) are not among them: a refusal of those shows at the connection.
 */
const QUEUE_CALLS = (key: string): Call[] => {
  const none = `${key}:none`;
  return [
    ...CACHE_CALLS(key),
    ['exists', none],
    ['type', none],
    ['pttl', none],
    ['persist', none],
    ['unlink', none],
    ['mget', key],
    ['incr', key],
    ['hget', none, 'f'],
    ['hgetall', none],
    ['hmget', none, 'f'],
    ['hexists', none, 'f'],
    ['hdel', none, 'f'],
    ['hset', key, 'f', '1'],
    ['hsetnx', key, 'f', '1'],
    ['hmset', key, 'f', '1'],
    ['hincrby', key, 'f', '1'],
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
    ['bzpopmin', none, '0.001'],
    ['publish', `${key}:channel`, ''],
    ['time'],
  ];
};

const callsOf = (setting: RedisSetting, key: string): Call[] =>
  setting === 'CACHE_REDIS_URL' ? CACHE_CALLS(key) : QUEUE_CALLS(key);

/** Names of the commands that a user needs, in lower case, besides those of the category `connection` and SUBSCRIBE. */
export const neededCommands = (setting: RedisSetting): string[] => [
  ...new Set(callsOf(setting, '').map(([command]) => command)),
];

export interface MissingPermission {
  command: string;
  error: Error;
}

/** The first command that the user of the connection may not run; undefined when all are permitted. One round trip. */
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

import { expect, test } from 'vitest';
import { type ConfigError, loadConfig } from '../process/config.ts';
import { parseAddress } from '../process/sentinel-address.ts';
import { redisServerOf } from './redis-store.ts';

test.each([
  ['sentinel-1', { host: 'sentinel-1', port: 26_379 }],
  ['10.0.0.1:5000', { host: '10.0.0.1', port: 5_000 }],
  ['[2001:db8::1]:5000', { host: '2001:db8::1', port: 5_000 }],
  ['redis://a:1', undefined],
  ['user@a:1', undefined],
  ['a:1/x', undefined],
  ['a:99999', undefined],
  ['a b', undefined],
])('the address %s is %j', (text, address) => {
  expect(parseAddress(text)).toEqual(address);
});

const faultsOf = (env: Record<string, string>): readonly string[] => {
  try {
    loadConfig(env);
    return [];
  } catch (error) {
    return (error as ConfigError).problems;
  }
};

test('what does not fit together is refused at the start', () => {
  expect(faultsOf({ REDIS_SENTINELS: 'redis://a:1' })).toEqual([
    "REDIS_SENTINELS must hold addresses as host:port, and holds 'redis://a:1'.",
  ]);
  expect(faultsOf({ REDIS_SENTINELS: 'a:1', REDIS_CLUSTER: 'true' })).toEqual([
    'REDIS_SENTINELS and REDIS_CLUSTER exclude each other: set one of them.',
  ]);
  expect(faultsOf({ CACHE_REDIS_SENTINELS: 'a:1' })).toEqual([
    'CACHE_REDIS_SENTINEL_PRIMARY must name the primary, because CACHE_REDIS_SENTINELS is set.',
  ]);
});

test('a cache without an address of its own is found as the queue Redis is', () => {
  const queue = { REDIS_URL: 'redis://:p@x', REDIS_SENTINELS: 'a:1, b:2', REDIS_SENTINEL_PRIMARY: 'q' };
  const sentinels = {
    addresses: [
      { host: 'a', port: 1 },
      { host: 'b', port: 2 },
    ],
    primary: 'q',
    username: undefined,
    password: undefined,
  };
  const alone = loadConfig(queue);
  expect(redisServerOf(alone, 'REDIS_URL').sentinels).toEqual(sentinels);
  expect(redisServerOf(alone, 'CACHE_REDIS_URL')).toEqual(redisServerOf(alone, 'REDIS_URL'));
  const plainCache = loadConfig({ ...queue, CACHE_REDIS_URL: 'redis://cache' });
  expect(redisServerOf(plainCache, 'CACHE_REDIS_URL')).toEqual({
    url: 'redis://cache',
    cluster: false,
    sentinels: undefined,
  });
  const own = loadConfig({ ...queue, CACHE_REDIS_SENTINELS: 'c:3', CACHE_REDIS_SENTINEL_PRIMARY: 'c' });
  expect(redisServerOf(own, 'CACHE_REDIS_URL').sentinels).toMatchObject({
    addresses: [{ host: 'c', port: 3 }],
    primary: 'c',
  });
});

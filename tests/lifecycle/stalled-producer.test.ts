/** The time limit of the commands of a producer connection, through a proxy that stops to forward. */
import { setTimeout as delay } from 'node:timers/promises';
import { connectRedis, waitForRedis } from '@millrace/shared/redis/connection';
import { expect, inject, test } from 'vitest';
import { startStallingProxy } from '../postgres/stalling-proxy.ts';

const TIMEOUT_MS = 500;
/** Much longer than the limit of a command, and shorter than the five seconds of the commands that open a connection. */
const OTHER_LIMIT_MS = 4_500;

const onOneRedis = test.skipIf(inject('redisCluster'));

onOneRedis('a command without a reply is rejected after its time, and a later command gets its reply', async () => {
  const proxy = await startStallingProxy(inject('redisUrl'));
  const redis = connectRedis(proxy.url, 'producer', { timeoutMs: TIMEOUT_MS });
  try {
    await waitForRedis(redis, 'Redis', 60_000);
    expect(await redis.ping()).toBe('PONG');
    proxy.stall();
    const startedAt = performance.now();
    const failure = redis.ping().catch((error: Error) => error.message);
    expect(await Promise.race([failure, delay(OTHER_LIMIT_MS, 'no limit')])).toBe('Command timed out');
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(TIMEOUT_MS * 0.9);
    proxy.resume();
    await expect.poll(() => redis.ping().catch(() => 'late')).toBe('PONG');
  } finally {
    redis.disconnect();
    await proxy.close();
  }
});

onOneRedis('a connection may open more slowly than a command', async () => {
  const proxy = await startStallingProxy(inject('redisUrl'), { openMs: 4 * TIMEOUT_MS });
  const redis = connectRedis(proxy.url, 'producer', { timeoutMs: TIMEOUT_MS });
  try {
    await waitForRedis(redis, 'Redis', 60_000);
    expect(await redis.ping()).toBe('PONG');
  } finally {
    redis.disconnect();
    await proxy.close();
  }
});

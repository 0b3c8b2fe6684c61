import { connectRedis, waitForRedis } from '@millrace/shared/redis/connection';
import { expect, inject, test } from 'vitest';
import { startProxy } from '../chaos/proxy.ts';

test('a blocking connection without a peer is abandoned, and its call is repeated on a new connection', async () => {
  const given = new URL(inject('redisUrl'));
  const proxy = await startProxy(Number(given.port));
  given.hostname = '127.0.0.1';
  given.port = String(proxy.port);
  const redis = connectRedis(given.href, 'blocking', { silenceMs: 200 });
  try {
    await waitForRedis(redis, 'Redis', 5_000);
    const reconnecting = new Promise((resolve) => redis.once('reconnecting', resolve));
    // No reset and no end: no data passes any more, as when a machine loses power.
    proxy.behave({ stalled: true });
    const reply = redis.ping();
    await reconnecting;
    proxy.behave({ stalled: false });
    expect(await reply).toBe('PONG');
  } finally {
    redis.disconnect();
    await proxy.close();
  }
});

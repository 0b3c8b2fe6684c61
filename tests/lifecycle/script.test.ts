/** Scripts that run by their digest, on a real Redis. */
import { scriptOf } from '@millrace/shared/redis/script';
import { expect, test, vi } from 'vitest';
import { testPrefix } from '../support/test-prefix.ts';
import { useLive } from './live-fixture.ts';

const f = useLive();

test('a script that Redis does not know is sent once, and each run has its keys and arguments', async () => {
  const texts = vi.spyOn(f.redis, 'eval');
  const key = testPrefix();
  // No other test runs the same text.
  const run = scriptOf(`-- ${key}\nreturn { redis.call('INCR', KEYS[1]), ARGV[1] }`);
  expect(await run(f.redis, 1, key, 'a')).toEqual([1, 'a']);
  const results = await Promise.all([run(f.redis, 1, key, 'b'), run(f.redis, 1, key, 3)]);
  expect(results).toEqual([
    [2, 'b'],
    [3, '3'],
  ]);
  expect(texts).toHaveBeenCalledTimes(1);
  texts.mockRestore();
  await f.redis.del(key);
});

test('an error of a script is no unknown script', async () => {
  const texts = vi.spyOn(f.redis, 'eval');
  const run = scriptOf(`return redis.error_reply('WRONG ${testPrefix()}')`);
  for (let round = 0; round < 2; round += 1) await expect(run(f.redis, 0)).rejects.toThrow('WRONG');
  expect(texts).toHaveBeenCalledTimes(1);
  texts.mockRestore();
});

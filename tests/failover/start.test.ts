import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { Redis } from 'ioredis';
import { describe, expect, test } from 'vitest';
import { processesWith } from '../start/processes-with.ts';
import { FIRST_REQUEST, pidOf, predict, startMillrace, useStartFolder } from '../start/started.ts';

let dir = '';
useStartFolder((folder) => {
  dir = folder;
});

describe('npm start', { timeout: 180_000 }, () => {
  test('limits the memory of queue and cache separately and prints the limits', async () => {
    const millrace = await startMillrace(dir, { QUEUE_MEMORY: '100mb', CACHE_MEMORY: '50mb' });
    await millrace.printed(FIRST_REQUEST);
    expect(millrace.output()).toContain('queue 100 MB (QUEUE_MEMORY), cache 50 MB (CACHE_MEMORY)');
    const servers = JSON.parse(await readFile(path.join(dir, 'servers.json'), 'utf8'));
    const [queue, cache] = await Promise.all(
      [servers.REDIS_URL, servers.CACHE_REDIS_URL].map(async (url: string) => {
        const client = new Redis(url);
        const info = await client.info('memory');
        client.disconnect();
        return info;
      }),
    );
    expect(queue).toMatch(/^maxmemory:104857600\r?\nmaxmemory_human:[^\n]*\nmaxmemory_policy:noeviction/m);
    expect(cache).toMatch(/^maxmemory:52428800\r?\nmaxmemory_human:[^\n]*\nmaxmemory_policy:allkeys-lfu/m);
    expect(millrace.output()).not.toContain('share the queue Redis');
    millrace.signal('SIGTERM');
    expect(await millrace.exited).toEqual({ code: 0, signal: null });
  });

  test('starts each store again when the store dies, with its data, and says so', { timeout: 180_000 }, async () => {
    const millrace = await startMillrace(dir);
    await millrace.printed(FIRST_REQUEST);
    const { id } = await predict(millrace);
    for (const store of ['postgres', 'redis', 'cache']) {
      const before = await pidOf(dir, store);
      process.kill(before, 'SIGKILL');
      await millrace.printed(`${store} was ended by SIGKILL. It starts again in 1 s; the other parts continue.`);
      await expect
        .poll(async () => [0, before].includes((await pidOf(dir, store)) || 0), { timeout: 60_000 })
        .toBe(false);
    }
    const ready = async () => ((await (await fetch(`${millrace.baseUrl}/readyz`)).json()) as { status: string }).status;
    await expect.poll(ready, { timeout: 60_000 }).toBe('ready');
    const known = await fetch(`${millrace.baseUrl}/v1/predictions/${id}`);
    expect(await known.json()).toMatchObject({ id, status: 'succeeded' });
    expect((await predict(millrace)).id).toMatch(/^pred_/);
    millrace.signal('SIGTERM');
    expect(await millrace.exited).toEqual({ code: 0, signal: null });
  });

  test('starts the worker and the API again when they die, and says so', { timeout: 180_000 }, async () => {
    const millrace = await startMillrace(dir);
    await millrace.printed(FIRST_REQUEST);
    for (const part of ['worker', 'api']) {
      const before = await pidOf(dir, part);
      process.kill(before, 'SIGKILL');
      await millrace.printed(`${part} was ended by SIGKILL. It starts again in 1 s`);
      await expect
        .poll(async () => [0, before].includes((await pidOf(dir, part)) || 0), { timeout: 60_000 })
        .toBe(false);
    }
    const created = () =>
      predict(millrace).then(
        ({ id }) => typeof id,
        () => 'none',
      );
    await expect.poll(created, { timeout: 60_000 }).toBe('string');
    millrace.signal('SIGTERM');
    expect(await millrace.exited).toEqual({ code: 0, signal: null });
  });

  test('leaves no process behind when it is killed', async () => {
    const millrace = await startMillrace(dir);
    await millrace.printed(FIRST_REQUEST);
    expect((await processesWith(dir)).length).toBeGreaterThan(4);
    millrace.signal('SIGKILL');
    // Less than the guard's ten seconds: the processes end gracefully, although no process reads their logs any more.
    await expect.poll(() => processesWith(dir), { timeout: 9_000 }).toEqual([]);
    await millrace.exited;
  });

  test('can be stopped during its start', async () => {
    const millrace = await startMillrace(dir);
    const lock = () => readFile(path.join(dir, 'lock'), 'utf8').catch(() => '');
    await expect.poll(lock, { timeout: 60_000 }).not.toBe('');
    millrace.signal('SIGTERM');
    expect(await millrace.exited).toEqual({ code: 0, signal: null });
  });
});

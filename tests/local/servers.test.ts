import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { RedisMemory } from '@millrace/local/memory';
import { type LocalPostgres, startPostgres } from '@millrace/local/postgres/server';
import { type Guard, startGuard } from '@millrace/local/process/guard';
import { findOrInstallRedis } from '@millrace/local/redis/program';
import { type LocalRedis, startRedis } from '@millrace/local/redis/server';
import { startServices } from '@millrace/local/services';
import { Redis } from 'ioredis';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

let dir = '';
let guard: Guard;

beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'millrace-local-'));
  guard = startGuard();
});
afterEach(async () => {
  await guard.close();
  await rm(dir, { recursive: true });
});

describe('the private Redis', () => {
  const start = async () =>
    startRedis({
      program: await findOrInstallRedis(console.log),
      dataDir: path.join(dir, 'redis'),
      logFile: path.join(dir, 'redis.log'),
      password: 'secret',
      guard,
    });

  test('is configured to hold a queue', async () => {
    const redis = await start();
    const settings = ['appendonly', 'appendfsync', 'save', 'maxmemory-policy'];
    const values = await inRedis(redis, (client) => Promise.all(settings.map((name) => client.config('GET', name))));
    expect(values).toEqual([
      ['appendonly', 'yes'],
      ['appendfsync', 'everysec'],
      ['save', ''],
      ['maxmemory-policy', 'noeviction'],
    ]);
    await redis.part.stop();
  });

  test('requires the password', async () => {
    const redis = await start();
    await expect(inRedis({ ...redis, url: redis.url.replace('secret', 'guess') }, (c) => c.ping())).rejects.toThrow();
    expect((await stat(path.join(dir, 'redis/redis.conf'))).mode & 0o077).toBe(0);
    await redis.part.stop();
  });

  test('has its data again after a stop and after a kill', async () => {
    const first = await start();
    await inRedis(first, (client) => client.set('kept', 'through a stop'));
    await first.part.stop();
    const second = await start();
    expect(await inRedis(second, (client) => client.get('kept'))).toBe('through a stop');
    await inRedis(second, (client) => client.set('kept', 'through a kill'));
    process.kill(second.part.pid, 'SIGKILL');
    await second.part.exited;
    const third = await start();
    expect(await inRedis(third, (client) => client.get('kept'))).toBe('through a kill');
    await third.part.stop();
  });

  test('replaces a server that an earlier run left behind', async () => {
    const orphan = await start();
    const heir = await start();
    expect(await orphan.part.exited).toEqual({ code: 0, signal: null });
    await heir.part.stop();
  });
});

describe('the private Redis servers of npm start', () => {
  const start = (memory: RedisMemory, say: (message: string) => void = () => {}) =>
    startServices({ dir, guard, durable: false, databaseUrl: 'postgres://elsewhere', memory, say });
  const call = (url: string, ...command: [string, ...string[]]) =>
    inRedis({ url }, (client) => client.call(...command));
  const MIB = 1_048_576;

  test('are two: a queue that evicts nothing and a cache that evicts, each with its limit', async () => {
    const services = await start({ queue: 64 * MIB, cache: 8 * MIB });
    const { redisUrl, cacheRedisUrl, parts } = services;
    expect(parts.map(({ name }) => name).sort()).toEqual(['cache', 'redis']);
    const limits = async (url: string) => [
      await call(url, 'CONFIG', 'GET', 'maxmemory'),
      await call(url, 'CONFIG', 'GET', 'maxmemory-policy'),
    ];
    expect(await limits(redisUrl)).toEqual([
      ['maxmemory', String(64 * MIB)],
      ['maxmemory-policy', 'noeviction'],
    ]);
    expect(await limits(cacheRedisUrl)).toEqual([
      ['maxmemory', String(8 * MIB)],
      ['maxmemory-policy', 'allkeys-lfu'],
    ]);
    // Three times the cache's limit: the cache evicts, refuses nothing, and the queue does not grow.
    const value = 'x'.repeat(64 * 1_024);
    await inRedis({ url: cacheRedisUrl }, async (client) => {
      for (let n = 0; n < 384; n += 1) await client.set(`result:${n}`, value);
      expect(await client.dbsize()).toBeLessThan(384);
      expect(Number(/^used_memory:(\d+)/m.exec(await client.info('memory'))?.[1])).toBeLessThan(9 * MIB);
    });
    expect(await call(redisUrl, 'DBSIZE')).toBe(0);
    await Promise.all(parts.map((part) => part.stop()));
  });

  test('keep cached results over a stop, and have room for work that an earlier run left', async () => {
    const first = await start({ queue: 64 * MIB, cache: 16 * MIB });
    await call(first.cacheRedisUrl, 'SET', 'result', 'kept');
    const value = 'x'.repeat(1_048_576);
    for (let n = 0; n < 12; n += 1) await call(first.redisUrl, 'SET', `work:${n}`, value);
    await Promise.all(first.parts.map((part) => part.stop()));
    const said: string[] = [];
    const second = await start({ queue: 16 * MIB, cache: 16 * MIB }, (message) => said.push(message));
    expect(await call(second.cacheRedisUrl, 'GET', 'result')).toBe('kept');
    expect(await call(second.redisUrl, 'SET', 'work', 'new')).toBe('OK');
    expect(said.join()).toMatch(
      /The queue holds 1\d MB from earlier runs, so its limit is [23]\d MB for this run instead of 16 MB/,
    );
    await Promise.all(second.parts.map((part) => part.stop()));
  });

  test('are not started where both exist, and only the cache is started where a queue exists', async () => {
    const brought = {
      dir,
      guard,
      durable: false,
      databaseUrl: 'postgres://elsewhere',
      memory: { queue: 0, cache: 8 * MIB },
      say: () => {},
    };
    const both = await startServices({ ...brought, redisUrl: 'redis://q', cacheRedisUrl: 'redis://c' });
    expect(both).toMatchObject({ redisUrl: 'redis://q', cacheRedisUrl: 'redis://c', parts: [] });
    const one = await startServices({ ...brought, redisUrl: 'redis://q' });
    expect(one.redisUrl).toBe('redis://q');
    expect(await call(one.cacheRedisUrl, 'CONFIG', 'GET', 'maxmemory-policy')).toEqual([
      'maxmemory-policy',
      'allkeys-lfu',
    ]);
    await Promise.all(one.parts.map((part) => part.stop()));
  });
});

describe('the private Postgres', () => {
  const dataDir = () => path.join(dir, 'postgres');
  const start = () =>
    startPostgres({
      dataDir: dataDir(),
      logFile: path.join(dir, 'postgres.log'),
      password: 'secret',
      guard,
      durable: true,
    });

  test('makes commits durable, and requires the password', async () => {
    const postgres = await start();
    const rows = await inPostgres(
      postgres.url,
      `SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS commit`,
    );
    expect(rows).toEqual([{ fsync: 'on', commit: 'on' }]);
    await expect(inPostgres(postgres.url.replace('secret', 'guess'), 'SELECT 1')).rejects.toThrow('password');
    await postgres.part.stop();
  });

  test('has its data again after a stop and after a kill', async () => {
    const first = await start();
    await inPostgres(first.url, 'CREATE TABLE kept AS SELECT 1 AS through');
    await first.part.stop();
    const second = await start();
    await inPostgres(second.url, 'INSERT INTO kept VALUES (2)');
    process.kill(second.part.pid, 'SIGKILL');
    await second.part.exited;
    const third = await start();
    expect(await inPostgres(third.url, 'SELECT through FROM kept')).toEqual([{ through: 1 }, { through: 2 }]);
    await third.part.stop();
  });

  test('starts when a killed server left a pid that now belongs to another process', async () => {
    const first = await start();
    await first.part.stop();
    // Postgres itself would refuse to start, because the id is in use by another process.
    await writeFile(path.join(dataDir(), 'postmaster.pid'), `${process.pid}\n${dataDir()}\n`);
    const second = await start();
    expect(await readFile(path.join(dataDir(), 'postmaster.pid'), 'utf8')).toMatch(new RegExp(`^${second.part.pid}\n`));
    await second.part.stop();
  });

  test('creates its cluster again when the first attempt was interrupted', async () => {
    await writeFile(`${dataDir()}.unfinished`, 'what a killed initdb left');
    const postgres = await start();
    expect(await inPostgres(postgres.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await postgres.part.stop();
  });

  test('replaces a server that an earlier run left behind', async () => {
    const orphan = await start();
    const heir = await start();
    expect(await orphan.part.exited).toEqual({ code: 0, signal: null });
    await heir.part.stop();
  });
});

async function inRedis<T>({ url }: Pick<LocalRedis, 'url'>, use: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url, { lazyConnect: true, maxRetriesPerRequest: 0, retryStrategy: () => null });
  // The caller that awaits the command gets the error.
  client.on('error', () => {});
  try {
    return await use(client);
  } finally {
    client.disconnect();
  }
}

async function inPostgres(url: LocalPostgres['url'], sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

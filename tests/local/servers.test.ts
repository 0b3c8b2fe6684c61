import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Guard, startGuard } from '@millrace/local/guard';
import { type LocalPostgres, startPostgres } from '@millrace/local/postgres';
import { type LocalRedis, startRedis } from '@millrace/local/redis';
import { findOrInstallRedis } from '@millrace/local/redis-program';
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

  test('is fit to hold a queue', async () => {
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

  test('is for those who know the password', async () => {
    const redis = await start();
    await expect(inRedis({ ...redis, url: redis.url.replace('secret', 'guess') }, (c) => c.ping())).rejects.toThrow();
    expect((await stat(path.join(dir, 'redis/redis.conf'))).mode & 0o077).toBe(0);
    await redis.part.stop();
  });

  test('has its data again after a stop, and after being killed', async () => {
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

  test('takes the place of one that nobody ended', async () => {
    const orphan = await start();
    const heir = await start();
    expect(await orphan.part.exited).toEqual({ code: 0, signal: null });
    await heir.part.stop();
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

  test('keeps its promises, for those who know the password', async () => {
    const postgres = await start();
    const rows = await inPostgres(
      postgres.url,
      `SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS commit`,
    );
    expect(rows).toEqual([{ fsync: 'on', commit: 'on' }]);
    await expect(inPostgres(postgres.url.replace('secret', 'guess'), 'SELECT 1')).rejects.toThrow('password');
    await postgres.part.stop();
  });

  test('has its data again after a stop, and after being killed', async () => {
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

  test('starts where a killed one left a pid that is now another process', async () => {
    const first = await start();
    await first.part.stop();
    // Postgres itself would refuse: the id is in use, and it does not look by whom.
    await writeFile(path.join(dataDir(), 'postmaster.pid'), `${process.pid}\n${dataDir()}\n`);
    const second = await start();
    expect(await readFile(path.join(dataDir(), 'postmaster.pid'), 'utf8')).toMatch(new RegExp(`^${second.part.pid}\n`));
    await second.part.stop();
  });

  test('makes its cluster anew when the first attempt was cut short', async () => {
    await writeFile(`${dataDir()}.unfinished`, 'what a killed initdb left');
    const postgres = await start();
    expect(await inPostgres(postgres.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await postgres.part.stop();
  });

  test('takes the place of one that nobody ended', async () => {
    const orphan = await start();
    const heir = await start();
    expect(await orphan.part.exited).toEqual({ code: 0, signal: null });
    await heir.part.stop();
  });
});

async function inRedis<T>({ url }: LocalRedis, use: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url, { lazyConnect: true, maxRetriesPerRequest: 0, retryStrategy: () => null });
  // Told to whoever awaits the command.
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

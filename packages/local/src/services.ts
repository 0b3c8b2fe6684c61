/** Starts the private Redis and Postgres servers that the user did not provide. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { inMegabytes, type RedisMemory } from './memory.ts';
import { localPassword } from './password.ts';
import { startPostgres } from './postgres/server.ts';
import type { Guard } from './process/guard.ts';
import type { Part } from './process/part.ts';
import { findOrInstallRedis, installedRedis, type RedisProgram } from './redis/program.ts';
import { type LocalRedis, limitMemory, startRedis, usedMemory } from './redis/server.ts';

export interface ServicesOptions {
  /** Holds the data and the logs of all servers. */
  dir: string;
  guard: Guard;
  durable: boolean;
  /** Limits of the private Redis servers. Without limits, one Redis is queue and cache. */
  memory?: RedisMemory;
  /** URLs of existing servers. A server with a URL is not started. */
  redisUrl?: string;
  cacheRedisUrl?: string;
  databaseUrl?: string;
  say: (message: string) => void;
}

export interface Services {
  redisUrl: string;
  /** Equal to redisUrl when one Redis is queue and cache. */
  cacheRedisUrl: string;
  databaseUrl: string;
  /** See LocalPostgres. */
  onDisk: Promise<void>;
  /** The started servers, in no particular order. */
  stores: LocalStore[];
  /** The processes of the servers. */
  parts: Part[];
}

/** A started server. */
export interface LocalStore {
  part: Part;
  /** Starts the server again after its end, on the same data and at the same address. */
  startAgain(): Promise<Part>;
}

/** Starts the missing servers in parallel. When a server cannot start, all started servers are stopped. */
export async function startServices(options: ServicesOptions): Promise<Services> {
  const { dir, guard, durable, databaseUrl } = options;
  const logs = path.join(dir, 'logs');
  await mkdir(logs, { recursive: true });
  const password = await localPassword(dir);
  // Shared by both Redis servers, because the program may have to be installed.
  let found: Promise<RedisProgram> | undefined;
  const program = () => (found ??= findOrInstallRedis(options.say));
  const place = { logs, password, program };
  const [redis, cache, postgres] = await Promise.allSettled([
    startQueue(options, place),
    startCache(options, place),
    databaseUrl
      ? { url: databaseUrl, onDisk: Promise.resolve() }
      : restartable((port) =>
          startPostgres({
            dataDir: path.join(dir, 'postgres'),
            logFile: path.join(logs, 'postgres.log'),
            password,
            guard,
            durable,
            ...(port === undefined ? {} : { port }),
          }),
        ),
  ]);
  const outcomes = [redis, cache, postgres];
  const stores = outcomes.flatMap((outcome) =>
    outcome.status === 'fulfilled' && outcome.value && 'store' in outcome.value ? [outcome.value.store] : [],
  );
  const parts = stores.map(({ part }) => part);
  if (redis.status === 'fulfilled' && cache.status === 'fulfilled' && postgres.status === 'fulfilled') {
    const { url, onDisk } = postgres.value;
    const cacheRedisUrl = cache.value?.url ?? redis.value.url;
    return { redisUrl: redis.value.url, cacheRedisUrl, databaseUrl: url, onDisk, stores, parts };
  }
  await Promise.all(parts.map((part) => part.stop()));
  throw outcomes.find((outcome) => outcome.status === 'rejected')?.reason;
}

interface Place {
  logs: string;
  password: string;
  program(): Promise<RedisProgram>;
}

type Started = Pick<LocalRedis, 'url'> | (LocalRedis & { store: LocalStore });

/** Starts a server on a free port. `start` with a port starts the server again. */
async function restartable<T extends { url: string; part: Part }>(
  start: (port: number | undefined) => Promise<T>,
): Promise<T & { store: LocalStore }> {
  const started = await start(undefined);
  const port = Number(new URL(started.url).port);
  return { ...started, store: { part: started.part, startAgain: async () => (await start(port)).part } };
}

async function startQueue(
  { dir, guard, redisUrl, memory, say }: ServicesOptions,
  { logs, password, program }: Place,
): Promise<Started> {
  if (redisUrl) return { url: redisUrl };
  const files = { dataDir: path.join(dir, 'redis'), logFile: path.join(logs, 'redis.log') };
  const place = { program: await program(), ...files, password, guard, maxMemory: memory?.queue };
  return restartable(async (port) => {
    const redis = await startRedis({ ...place, ...(port === undefined ? {} : { port }) });
    if (memory) await makeRoom(redis, memory.queue, say);
    return redis;
  });
}

/** Data of an earlier start can exceed the limit, and Redis would then refuse all new work. */
async function makeRoom(redis: LocalRedis, limit: number, say: (message: string) => void): Promise<void> {
  const used = await usedMemory(redis);
  if (used <= limit / 2) return;
  await limitMemory(redis, used * 2);
  say(
    `The queue holds ${inMegabytes(used)} from earlier runs, so its limit is ${inMegabytes(used * 2)} for this run instead of ` +
      `${inMegabytes(limit)} (QUEUE_MEMORY).`,
  );
}

/** Starts a separate cache server, which may lose data. Returns undefined where queue and cache share a server. */
async function startCache(
  { dir, guard, redisUrl, cacheRedisUrl, memory, say }: ServicesOptions,
  { logs, password, program }: Place,
): Promise<Started | undefined> {
  if (cacheRedisUrl) return { url: cacheRedisUrl };
  if (!memory) return undefined;
  // A user with an existing Redis may have no local redis-server. Millrace installs none for that user.
  const own = redisUrl ? installedRedis() : await program();
  if (!own) {
    say(
      'No redis-server is installed here, so cached results share REDIS_URL with the queue and take its memory. Set ' +
        'CACHE_REDIS_URL to a second Redis with a maxmemory and maxmemory-policy allkeys-lfu.',
    );
    return undefined;
  }
  const files = { dataDir: path.join(dir, 'cache'), logFile: path.join(logs, 'cache.log') };
  const place = { program: own, role: 'cache' as const, ...files, password, guard, maxMemory: memory.cache };
  return restartable((port) => startRedis({ ...place, ...(port === undefined ? {} : { port }) }));
}

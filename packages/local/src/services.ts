import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Guard } from './guard.ts';
import type { Part } from './part.ts';
import { localPassword } from './password.ts';
import { startPostgres } from './postgres.ts';
import { startRedis } from './redis.ts';
import { findOrInstallRedis } from './redis-program.ts';

export interface ServicesOptions {
  /** Holds the data and the logs of both. */
  dir: string;
  guard: Guard;
  durable: boolean;
  /** What is there already, and so is not started. */
  redisUrl?: string;
  databaseUrl?: string;
  say: (message: string) => void;
}

export interface Services {
  redisUrl: string;
  databaseUrl: string;
  /** See LocalPostgres. */
  onDisk: Promise<void>;
  /** What was started here, in no particular order. */
  parts: Part[];
}

/** Starts the servers that nobody brought, side by side. When one cannot start, neither is left running. */
export async function startServices(options: ServicesOptions): Promise<Services> {
  const { dir, guard, durable, redisUrl, databaseUrl, say } = options;
  const logs = path.join(dir, 'logs');
  await mkdir(logs, { recursive: true });
  const password = await localPassword(dir);
  const [redis, postgres] = await Promise.allSettled([
    redisUrl
      ? { url: redisUrl, part: undefined }
      : findOrInstallRedis(say).then((program) =>
          startRedis({
            program,
            dataDir: path.join(dir, 'redis'),
            logFile: path.join(logs, 'redis.log'),
            password,
            guard,
          }),
        ),
    databaseUrl
      ? { url: databaseUrl, part: undefined, onDisk: Promise.resolve() }
      : startPostgres({
          dataDir: path.join(dir, 'postgres'),
          logFile: path.join(logs, 'postgres.log'),
          password,
          guard,
          durable,
        }),
  ]);
  const parts = [redis, postgres].flatMap((outcome) =>
    outcome.status === 'fulfilled' && outcome.value.part ? [outcome.value.part] : [],
  );
  if (redis.status === 'fulfilled' && postgres.status === 'fulfilled') {
    const { url, onDisk } = postgres.value;
    return { redisUrl: redis.value.url, databaseUrl: url, onDisk, parts };
  }
  await Promise.all(parts.map((part) => part.stop()));
  throw redis.status === 'rejected' ? redis.reason : (postgres as PromiseRejectedResult).reason;
}

/**
 * Real redis-server and postgres processes that faults kill, stop, wipe and start again. Each server is behind a proxy,
 * so that its address stays.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startPostgres } from '@millrace/local/postgres/server';
import { familyOf } from '@millrace/local/process/family';
import { type Guard, startGuard } from '@millrace/local/process/guard';
import type { Part } from '@millrace/local/process/part';
import { findOrInstallRedis } from '@millrace/local/redis/program';
import { startRedis } from '@millrace/local/redis/server';
import { startProxy, type TcpProxy } from './proxy.ts';

const password = 'chaos';

export interface Server {
  /** The address of the proxy, for the tested processes. */
  readonly url: string;
  /** The direct address, for observers. */
  readonly directUrl: string;
  readonly proxy: TcpProxy;
  /** Kills the server with SIGKILL and resolves when the process has ended. */
  kill(): Promise<void>;
  /** Starts the server on the existing data and resolves when the server replies. */
  start(): Promise<void>;
  /** Sends SIGSTOP to the server and its children. */
  freeze(): void;
  thaw(): void;
  /** Deletes the data of a killed server. */
  wipe(): Promise<void>;
  stop(): Promise<void>;
}

export interface Servers {
  dir: string;
  guard: Guard;
  redis: Server;
  cache: Server;
  postgres: Server;
  close(): Promise<void>;
}

export async function startServers(say: (message: string) => void): Promise<Servers> {
  const dir = await mkdtemp(path.join(tmpdir(), 'millrace-chaos-'));
  const guard = startGuard();
  const program = await findOrInstallRedis(say);
  const redisIn = (name: string) => (dataDir: string) =>
    startRedis({ program, dataDir, logFile: path.join(dir, `${name}.log`), password, guard });
  // Durable: a kill of Postgres must not lose committed data.
  const postgresIn = (dataDir: string) =>
    startPostgres({ dataDir, logFile: path.join(dir, 'postgres.log'), password, guard, durable: true });
  const [redis, cache, postgres] = await Promise.all([
    serve(path.join(dir, 'redis'), redisIn('redis')),
    serve(path.join(dir, 'cache'), redisIn('cache')),
    serve(path.join(dir, 'postgres'), postgresIn),
  ]);
  return {
    dir,
    guard,
    redis,
    cache,
    postgres,
    async close() {
      await Promise.allSettled([redis.stop(), cache.stop(), postgres.stop()]);
      await guard.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

type Start = (dataDir: string) => Promise<{ url: string; part: Part }>;

async function serve(dataDir: string, start: Start): Promise<Server> {
  let running = await start(dataDir);
  const proxy = await startProxy(portOf(running.url));
  const through = new URL(running.url);
  through.port = String(proxy.port);
  const family = () => familyOf(running.part.pid);
  const signal = (name: NodeJS.Signals) => {
    for (const pid of family()) send(pid, name);
  };
  return {
    url: through.href,
    get directUrl() {
      return running.url;
    },
    proxy,
    async kill() {
      signal('SIGKILL');
      await running.part.exited;
    },
    async start() {
      running = await start(dataDir);
      proxy.target(portOf(running.url));
    },
    freeze: () => signal('SIGSTOP'),
    thaw: () => signal('SIGCONT'),
    wipe: () => rm(dataDir, { recursive: true, force: true }),
    async stop() {
      signal('SIGCONT');
      await running.part.stop();
      await proxy.close();
    },
  };
}

const portOf = (url: string): number => Number(new URL(url).port);

function send(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    // The process has ended already.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

import { mkdir, realpath, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Guard } from '../process/guard.ts';
import { type Part, startPart } from '../process/part.ts';
import { withFreePorts } from '../process/ports.ts';
import { endOrphan } from '../process/processes.ts';
import { StartError } from '../process/start-error.ts';
import type { RedisProgram } from './program.ts';

export interface LocalRedisOptions {
  program: RedisProgram;
  /** A queue keeps everything on disk and evicts nothing. A cache evicts what is asked for least. */
  role?: 'queue' | 'cache';
  /** Bytes that its data may take; without it there is no limit. */
  maxMemory?: number;
  dataDir: string;
  logFile: string;
  password: string;
  guard: Guard;
  /** One that is to be kept over a restart; a free one otherwise. */
  port?: number;
  /** Further lines of its configuration. */
  settings?: readonly string[];
}

export interface LocalRedis {
  url: string;
  part: Part;
}

const host = '127.0.0.1';
const startTimeoutMs = 30_000;

/** Starts a private Redis for its role, and resolves when it answers PING, which is after it has read its data. */
export function startRedis(options: LocalRedisOptions): Promise<LocalRedis> {
  if (options.port !== undefined) return startRedisOn(options.port, options);
  return withFreePorts(1, ([port = 0]) => startRedisOn(port, options));
}

async function startRedisOn(port: number, options: LocalRedisOptions): Promise<LocalRedis> {
  await mkdir(options.dataDir, { recursive: true });
  // Redis reports its directory without symlinks, and /tmp is one on macOS.
  const dataDir = await realpath(options.dataDir);
  await endOrphan(path.join(dataDir, 'redis.pid'), dataDir, 'SIGTERM');
  const configFile = path.join(dataDir, 'redis.conf');
  // A file and not arguments: every user of the machine can read those, the password with them.
  const { role = 'queue', maxMemory, settings = [] } = options;
  const limit = maxMemory === undefined ? [] : [`maxmemory ${maxMemory}`];
  const lines = [...config(port, dataDir, options.password), ...ROLES[role], ...limit, ...settings, ''];
  await writeFile(configFile, lines.join('\n'), { mode: 0o600 });
  const part = await startPart(options.guard, {
    name: role === 'queue' ? 'redis' : 'cache',
    command: options.program.file,
    argv0: options.program.argv0,
    args: [configFile],
    cwd: dataDir,
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 10_000,
    logFile: options.logFile,
  });
  await untilPong(part, port, options.password);
  return { url: `redis://:${options.password}@${host}:${port}`, part };
}

function config(port: number, dataDir: string, password: string): string[] {
  return [
    `bind ${host}`,
    `port ${port}`,
    `dir ${JSON.stringify(dataDir)}`,
    `requirepass ${password}`,
    'daemonize no',
    'pidfile redis.pid',
  ];
}

const ROLES: Readonly<Record<'queue' | 'cache', readonly string[]>> = {
  queue: [
    'appendonly yes',
    'appendfsync everysec',
    // States come and go within minutes: at its default of 64 MB and compressed, a busy queue's file was rewritten every few
    // seconds, for a third of all the processor time of Redis.
    'auto-aof-rewrite-min-size 256mb',
    'rdbcompression no',
    'save ""',
    'maxmemory-policy noeviction',
  ],
  cache: [
    'appendonly no',
    // Written when it stops, so that the next start finds its results; hardly ever meanwhile.
    'save 86400 1',
    'stop-writes-on-bgsave-error no',
    'maxmemory-policy allkeys-lfu',
  ],
};

/** Bytes that the data of a private Redis takes now. */
export async function usedMemory({ url }: LocalRedis): Promise<number> {
  const { port, password } = new URL(url);
  const reply = await ask(Number(port), password, 'INFO memory', (text) => text.includes('used_memory_human:'));
  return Number(/^used_memory:(\d+)/m.exec(reply ?? '')?.[1] ?? 0);
}

/** Sets the limit of a private Redis while it runs. */
export async function limitMemory({ url }: LocalRedis, bytes: number): Promise<void> {
  const { port, password } = new URL(url);
  await ask(Number(port), password, `CONFIG SET maxmemory ${bytes}`, (text) => text.split('\r\n').length > 2);
}

async function untilPong(part: Part, port: number, password: string): Promise<void> {
  let ended = false;
  void part.exited.then(() => {
    ended = true;
  });
  const deadline = performance.now() + startTimeoutMs;
  // Two replies: to AUTH, and to PING (-LOADING while the data is being read).
  const replied = (text: string) => text.split('\r\n').length > 2;
  while (!(await ask(port, password, 'PING', replied))?.includes('+PONG')) {
    if (ended) throw new StartError(`redis-server ended while starting:\n${part.lastLines().slice(-5).join('\n')}`);
    if (performance.now() > deadline) {
      await part.stop();
      throw new StartError(`redis-server did not answer within ${startTimeoutMs / 1000} seconds.`);
    }
    await delay(5);
  }
}

/** Sends one command. Resolves to all replies once `isWhole` says so, or to undefined when they do not come. */
function ask(
  port: number,
  password: string,
  command: string,
  isWhole: (replies: string) => boolean,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    let replies = '';
    const finish = (result: string | undefined) => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(1_000, () => finish(undefined));
    socket.on('error', () => finish(undefined));
    socket.on('close', () => finish(undefined));
    socket.on('data', (chunk) => {
      replies += chunk;
      if (isWhole(replies)) finish(replies);
    });
    socket.write(`AUTH ${password}\r\n${command}\r\n`);
  });
}

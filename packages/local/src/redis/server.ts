/** Starts a private Redis server on this machine. */
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
  /** A queue keeps all data on disk and evicts nothing. A cache evicts the least frequently used keys. */
  role?: 'queue' | 'cache';
  /** Maximum bytes of data. The default is no limit. */
  maxMemory?: number;
  dataDir: string;
  logFile: string;
  password: string;
  guard: Guard;
  /** A fixed port that the server keeps over restarts. The default is any free port. */
  port?: number;
  /** Additional lines of the configuration. */
  settings?: readonly string[];
}

export interface LocalRedis {
  url: string;
  part: Part;
}

const host = '127.0.0.1';
const startTimeoutMs = 30_000;

/**
 * Starts a private Redis for a role. Resolves when the server replies to PING, which happens after Redis has read its
 * data.
 */
export function startRedis(options: LocalRedisOptions): Promise<LocalRedis> {
  if (options.port !== undefined) return startRedisOn(options.port, options);
  return withFreePorts(1, ([port = 0]) => startRedisOn(port, options));
}

async function startRedisOn(port: number, options: LocalRedisOptions): Promise<LocalRedis> {
  await mkdir(options.dataDir, { recursive: true });
  // Redis reports its directory without symlinks, and /tmp is a symlink on macOS.
  const dataDir = await realpath(options.dataDir);
  await endOrphan(path.join(dataDir, 'redis.pid'), dataDir, 'SIGTERM');
  const configFile = path.join(dataDir, 'redis.conf');
  // The settings are in a file because every user of the machine can read command-line arguments, the password
  // included.
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
    // States live for minutes. With the default of 64 MB and compression, a busy queue rewrote its file every few
    // seconds and used a third of Redis's processor time.
    'auto-aof-rewrite-min-size 256mb',
    'rdbcompression no',
    'save ""',
    'maxmemory-policy noeviction',
  ],
  cache: [
    'appendonly no',
    // Redis writes its file when it stops, so that the next start finds the results, and almost never in between.
    'save 86400 1',
    'stop-writes-on-bgsave-error no',
    'maxmemory-policy allkeys-lfu',
  ],
};

/** Bytes of data in a private Redis now. */
export async function usedMemory({ url }: LocalRedis): Promise<number> {
  const { port, password } = new URL(url);
  const reply = await sendCommand({ port: Number(port), password }, 'INFO memory', (text) =>
    text.includes('used_memory_human:'),
  );
  return Number(/^used_memory:(\d+)/m.exec(reply ?? '')?.[1] ?? 0);
}

/** Sets the memory limit of a running private Redis. */
export async function limitMemory({ url }: LocalRedis, bytes: number): Promise<void> {
  const { port, password } = new URL(url);
  await sendCommand(
    { port: Number(port), password },
    `CONFIG SET maxmemory ${bytes}`,
    (text) => text.split('\r\n').length > 2,
  );
}

async function untilPong(part: Part, port: number, password: string): Promise<void> {
  let ended = false;
  void part.exited.then(() => {
    ended = true;
  });
  const deadline = performance.now() + startTimeoutMs;
  // Two replies: to AUTH, and to PING (-LOADING while Redis reads its data).
  const replied = (text: string) => text.split('\r\n').length > 2;
  while (!(await sendCommand({ port, password }, 'PING', replied))?.includes('+PONG')) {
    if (ended) throw new StartError(`redis-server ended while starting:\n${part.lastLines().slice(-5).join('\n')}`);
    if (performance.now() > deadline) {
      await part.stop();
      throw new StartError(`redis-server did not reply within ${startTimeoutMs / 1000} seconds.`);
    }
    await delay(5);
  }
}

/**
 * Sends one command. Resolves to all replies when `isWhole` accepts them, or to undefined when the connection fails or
 * times out.
 */
function sendCommand(
  { port, password }: { port: number; password: string },
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

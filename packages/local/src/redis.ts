import { mkdir, realpath, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Guard } from './guard.ts';
import { type Part, startPart } from './part.ts';
import { freePort } from './ports.ts';
import { endOrphan } from './processes.ts';
import type { RedisProgram } from './redis-program.ts';
import { StartError } from './start-error.ts';

export interface LocalRedisOptions {
  program: RedisProgram;
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

/**
 * Starts a private Redis with what a queue needs (append-only file, no eviction), and resolves when it answers PING,
 * which is after it has read its data.
 */
export async function startRedis(options: LocalRedisOptions): Promise<LocalRedis> {
  await mkdir(options.dataDir, { recursive: true });
  // Redis reports its directory without symlinks, and /tmp is one on macOS.
  const dataDir = await realpath(options.dataDir);
  await endOrphan(path.join(dataDir, 'redis.pid'), dataDir, 'SIGTERM');
  const port = options.port ?? (await freePort(host));
  const configFile = path.join(dataDir, 'redis.conf');
  // A file and not arguments: every user of the machine can read those, the password with them.
  const lines = [...config(port, dataDir, options.password), ...(options.settings ?? []), ''];
  await writeFile(configFile, lines.join('\n'), { mode: 0o600 });
  const part = await startPart(options.guard, {
    name: 'redis',
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
    'appendonly yes',
    'appendfsync everysec',
    // States come and go within minutes: at its default of 64 MB and compressed, a busy queue's file was rewritten every few
    // seconds, for a third of all the processor time of Redis.
    'auto-aof-rewrite-min-size 256mb',
    'rdbcompression no',
    'save ""',
    'maxmemory-policy noeviction',
  ];
}

async function untilPong(part: Part, port: number, password: string): Promise<void> {
  let ended = false;
  void part.exited.then(() => {
    ended = true;
  });
  const deadline = performance.now() + startTimeoutMs;
  while (!(await answersPing(port, password))) {
    if (ended) throw new StartError(`redis-server ended while starting:\n${part.lastLines().slice(-5).join('\n')}`);
    if (performance.now() > deadline) {
      await part.stop();
      throw new StartError(`redis-server did not answer within ${startTimeoutMs / 1000} seconds.`);
    }
    await delay(5);
  }
}

function answersPing(port: number, password: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    let answer = '';
    const finish = (pong: boolean) => {
      socket.destroy();
      resolve(pong);
    };
    socket.setTimeout(1_000, () => finish(false));
    socket.on('error', () => finish(false));
    socket.on('close', () => finish(false));
    socket.on('data', (chunk) => {
      answer += chunk;
      // Two replies: to AUTH, and to PING (-LOADING while the data is being read).
      if (answer.split('\r\n').length > 2) finish(answer.includes('+PONG'));
    });
    socket.write(`AUTH ${password}\r\nPING\r\n`);
  });
}

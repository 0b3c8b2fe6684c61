/** Starts rivals and the servers that they need, on temporary data, and ends all of them together. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { startPostgres } from '@millrace/local/postgres/server';
import { type Guard, startGuard } from '@millrace/local/process/guard';
import { startNodeProgram, untilReady, untilStarted } from '@millrace/local/process/node-program';
import type { Part } from '@millrace/local/process/part';
import { freePort } from '@millrace/local/process/ports';
import { findOrInstallRedis } from '@millrace/local/redis/program';
import { startRedis } from '@millrace/local/redis/server';
import { nodeArgs } from '../packages/millrace/launcher/node-args.mjs';
import { type Program, type RivalName, rivalPlans } from './rivals.ts';
import { startTraceSink } from './trace-sink.ts';

export interface Rival {
  /** The name of a rival, or of a server of bench/peers. */
  name: string;
  /** Without a trailing slash. */
  url: string;
  port: number;
  /** All processes of the rival, servers included. */
  parts: { role: 'api' | 'worker' | 'redis' | 'cache' | 'postgres'; part: Part }[];
  /** The queue Redis. */
  redisUrl: string | undefined;
  databaseUrl: string | undefined;
  /** Addresses of the metrics of its programs. Only Millrace has metrics. */
  metrics: { api: string; worker: string } | undefined;
  /** Stops the worker, as scaling to zero does. Resolves when the process has ended. */
  stopWorker(): Promise<void>;
  startWorker(): Promise<void>;
  stop(): Promise<void>;
}

export interface RivalOptions {
  /** Environment variables of the rival's programs. */
  env?: Readonly<Record<string, string>>;
  modelsDir?: string;
}

interface StartOptions extends RivalOptions {
  /** Root of the checkout whose programs run. The default is this checkout. */
  checkout?: string | undefined;
}

export interface Stage {
  dir: string;
  start(name: RivalName, options?: RivalOptions): Promise<Rival>;
  close(): Promise<void>;
}

const root = path.resolve(import.meta.dirname, '..');
const password = 'bench';
const startTimeoutMs = 60_000;
const warnings = ['--disable-warning=ExperimentalWarning'];

export interface StageOptions {
  /** The root of the checkout for the rival `before`. */
  before?: string | undefined;
  /** The share of the traces that the rival `millrace` records. */
  traces?: number | undefined;
}

export async function openStage(say: (message: string) => void, { before, traces }: StageOptions = {}): Promise<Stage> {
  const sink = traces === undefined ? undefined : await startTraceSink();
  const dir = await mkdtemp(path.join(tmpdir(), 'millrace-bench-'));
  const guard = startGuard();
  const rivals: Rival[] = [];
  return {
    dir,
    start: async (name, options = {}) => {
      const folder = await mkdtemp(path.join(dir, `${name}-`));
      const rival = await startRival(
        name,
        {
          ...options,
          checkout: name === 'before' ? before : undefined,
          env: { ...(name === 'millrace' && sink ? sink.settings(traces ?? 0) : {}), ...options.env },
        },
        folder,
        guard,
        say,
      );
      rivals.push(rival);
      return rival;
    },
    close: async () => {
      await Promise.allSettled(rivals.map((rival) => rival.stop()));
      await sink?.close();
      await guard.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function startRival(
  name: RivalName,
  options: StartOptions,
  dir: string,
  guard: Guard,
  say: (message: string) => void,
): Promise<Rival> {
  const { needs, programs } = rivalPlans[name];
  const logs = path.join(dir, 'logs');
  await mkdir(logs);
  const startRedisOf = async (role: 'queue' | 'cache') =>
    startRedis({
      program: await findOrInstallRedis(say),
      role,
      dataDir: path.join(dir, role),
      logFile: path.join(logs, `${role}.log`),
      password,
      guard,
    });
  const redis = needs.includes('redis') ? await startRedisOf('queue') : undefined;
  const cache = needs.includes('cache') ? await startRedisOf('cache') : undefined;
  const postgres = needs.includes('postgres')
    ? await startPostgres({
        dataDir: path.join(dir, 'postgres'),
        logFile: path.join(logs, 'postgres.log'),
        password,
        guard,
        // A 202 promises a committed row, so the measurement includes the full cost of the commit.
        durable: true,
      })
    : undefined;
  const checkout = options.checkout ?? root;
  const isMillrace = name === 'millrace' || name === 'before';
  if (postgres) await migrate(checkout, postgres.url);
  const [port, workerPort] = [await freePort(), await freePort()];
  const env: NodeJS.ProcessEnv = {
    PATH: process.env.PATH,
    NODE_ENV: 'production',
    HOST: '127.0.0.1',
    PORT: String(port),
    WORKER_PORT: String(workerPort),
    ...(redis ? { REDIS_URL: redis.url } : {}),
    ...(cache ? { CACHE_REDIS_URL: cache.url } : {}),
    ...(postgres ? { DATABASE_URL: postgres.url } : {}),
    MODELS_DIR: options.modelsDir ?? path.join(checkout, 'models'),
    ENGINES: '1',
    LOG_LEVEL: 'warn',
    ...options.env,
  };
  const parts: Rival['parts'] = [];
  if (redis) parts.push({ role: 'redis', part: redis.part });
  if (cache) parts.push({ role: 'cache', part: cache.part });
  if (postgres) parts.push({ role: 'postgres', part: postgres.part });
  const url = `http://127.0.0.1:${port}`;
  const launch = async (program: Program) => {
    const part = await startProgram({ name, program, env, logs, guard, checkout, isMillrace });
    parts.push({ role: program.role, part });
    const ownPort = program.role === 'api' ? port : workerPort;
    if (isMillrace) await untilReady(part, { url: `http://127.0.0.1:${ownPort}`, timeoutMs: startTimeoutMs });
  };
  const worker = programs.find(({ role }) => role === 'worker');
  const rival: Rival = {
    name,
    url,
    port,
    parts,
    redisUrl: redis?.url,
    databaseUrl: postgres?.url,
    metrics: isMillrace ? { api: `${url}/metrics`, worker: `http://127.0.0.1:${workerPort}/metrics` } : undefined,
    stopWorker: async () => {
      for (const entry of parts.filter(({ role }) => role === 'worker')) {
        await entry.part.stop();
        parts.splice(parts.indexOf(entry), 1);
      }
    },
    startWorker: async () => {
      if (worker) await launch(worker);
    },
    stop: async () => {
      for (const { part } of parts.toReversed()) await part.stop();
      parts.length = 0;
    },
  };
  try {
    for (const program of programs) await launch(program);
  } catch (error) {
    await rival.stop();
    throw error;
  }
  return rival;
}

/** Runs the migrations with the checkout's own program, because another commit has other migrations. */
async function migrate(checkout: string, databaseUrl: string): Promise<void> {
  const args = [...warnings, path.join(checkout, 'scripts/migrate.ts')];
  await promisify(execFile)(process.execPath, args, {
    cwd: checkout,
    env: { ...process.env, DATABASE_URL: databaseUrl },
  });
}

/**
 * Resolves when the program has printed `ready`. Millrace's programs print no such line: untilReady polls them instead.
 */
async function startProgram(start: {
  /** The name of a rival, or of a server of bench/peers. */
  name: string;
  program: Program;
  env: NodeJS.ProcessEnv;
  logs: string;
  guard: Guard;
  checkout: string;
  isMillrace: boolean;
}): Promise<Part> {
  const { name, program, env, logs, guard, checkout, isMillrace } = start;
  const ready = Promise.withResolvers<void>();
  const profiling = process.env.BENCH_PROFILE ? ['--cpu-prof', `--cpu-prof-dir=${process.env.BENCH_PROFILE}`] : [];
  const part = await startNodeProgram(guard, {
    name: `${name} ${program.role}`,
    root: checkout,
    file: program.file,
    // Each rival runs with plain Node arguments, and Millrace with its own arguments.
    nodeArgs: [...(isMillrace ? nodeArgs : warnings), ...profiling],
    env,
    logFile: path.join(logs, `${program.role}.log`),
    onLine: (line) => {
      if (line === 'ready') ready.resolve();
    },
  });
  if (!isMillrace) await untilStarted(part, { started: ready.promise, timeoutMs: startTimeoutMs });
  return part;
}

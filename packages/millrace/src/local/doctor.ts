/** `doctor`: checks Redis, Postgres, versions, clocks, models and limits, and names the fix of each fault. */
import { readFile, statfs } from 'node:fs/promises';
import path from 'node:path';
import { styleText } from 'node:util';
import { listVersions } from '@millrace/shared/model-files/model-folder';
import { postgresNow } from '@millrace/shared/postgres/clock';
import { createPool, type Pool } from '@millrace/shared/postgres/db';
import { checkPostgres } from '@millrace/shared/postgres/migrate';
import { placeOf } from '@millrace/shared/postgres/postgres-error';
import { type Config, ConfigError, loadConfig } from '@millrace/shared/process/config';
import { type Connection, checkQueueRedis, connectRedis, waitForRedis } from '@millrace/shared/redis/connection';
import type { RedisSetting } from '@millrace/shared/redis/redis-fault';
import { redisServerOf } from '@millrace/shared/redis/redis-store';
import { withServers } from './local-servers.ts';

type Status = 'ok' | 'warning' | 'failed';

interface Finding {
  check: string;
  status: Status;
  detail: string;
  /** The next step; null where nothing is to do. */
  fix: string | null;
}

export interface DoctorParams {
  env: NodeJS.ProcessEnv;
  /** The folder of `.millrace` and of a relative MODELS_DIR. */
  root: string;
  json: boolean;
}

const TIMEOUT_MS = 5_000;
const OPEN_FILES = 4_096;
const MIB = 1_048_576;

const ok = (check: string, detail: string): Finding => ({ check, status: 'ok', detail, fix: null });

/** Prints a finding for each check. The exit code is 1 if a check failed. */
export async function doctor({ env, root, json }: DoctorParams): Promise<void> {
  const findings = await examine(withServers(env, root));
  if (json) console.log(JSON.stringify(findings));
  else for (const finding of findings) console.log(textOf(finding));
  process.exitCode = findings.some(({ status }) => status === 'failed') ? 1 : 0;
}

/** The mark of a status with its color. */
const MARKS = {
  ok: ['ok     ', 'green'],
  warning: ['warning', 'yellow'],
  failed: ['FAILED ', 'red'],
} as const;
/** The column in which the detail of a finding begins. */
const DETAIL_AT = 23;

function textOf({ check, status, detail, fix }: Finding): string {
  const [mark, color] = MARKS[status];
  const lines = [detail, ...(fix === null ? [] : [fix])].flatMap(wrapped).join(`\n${' '.repeat(DETAIL_AT)}`);
  return `${styleText(color, mark, { stream: process.stdout })}  ${check.padEnd(12)}  ${lines}`;
}

/** The lines of a text beside the column of the checks. A pipe has no width, and gets one line. */
function wrapped(text: string): string[] {
  const width = Math.max(30, (process.stdout.columns ?? Infinity) - DETAIL_AT);
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

async function examine(env: NodeJS.ProcessEnv): Promise<Finding[]> {
  const node = ok('Node.js', process.version);
  let config: Config;
  try {
    config = loadConfig(env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return [
      node,
      { check: 'settings', status: 'failed', detail: error.message, fix: 'docs/configuration.md lists the settings.' },
    ];
  }
  const found = await Promise.all([
    postgresFindings(config),
    redisFindings(config, 'REDIS_URL'),
    redisFindings(config, 'CACHE_REDIS_URL'),
    modelFindings(config),
    limitFindings(config),
    apiFindings(config),
  ]);
  return [node, ok('settings', 'every setting is valid'), ...found.flat()];
}

async function postgresFindings({ databaseUrl, maxClockSkewMs }: Config): Promise<Finding[]> {
  const pool = createPool({ databaseUrl, max: 1, statementTimeoutMs: TIMEOUT_MS, applicationName: 'millrace-doctor' });
  const place = placeOf(databaseUrl);
  try {
    await checkPostgres(pool, databaseUrl);
    return [
      ok('Postgres', `${place} is reachable, and every migration is applied`),
      await clockFinding(pool, maxClockSkewMs),
    ];
  } catch (error) {
    const { message } = error as Error;
    const fix = /lacks/.test(message) ? 'Run: millrace migrate' : 'Start Postgres, or correct DATABASE_URL.';
    return [{ check: 'Postgres', status: 'failed', detail: message, fix }];
  } finally {
    await pool.end();
  }
}

/** The difference is at most wrong by half of the round trip. */
async function clockFinding(pool: Pool, limitMs: number): Promise<Finding> {
  const sentAt = Date.now();
  const serverMs = await postgresNow(pool);
  const roundTripMs = Date.now() - sentAt;
  const skewMs = Math.round(serverMs - sentAt - roundTripMs / 2);
  const detail = `the clock of this machine differs from the clock of Postgres by ${Math.abs(skewMs)} ms`;
  if (Math.abs(skewMs) - roundTripMs / 2 <= limitMs) return ok('clock', detail);
  return {
    check: 'clock',
    status: 'failed',
    detail,
    fix: `At most ${limitMs} ms are allowed (MAX_CLOCK_SKEW_MS). Set the wrong clock, such as with an NTP service.`,
  };
}

async function redisFindings(config: Config, setting: RedisSetting): Promise<Finding[]> {
  const isQueue = setting === 'REDIS_URL';
  const check = isQueue ? 'queue Redis' : 'cache Redis';
  const server = redisServerOf(config, setting);
  const redis = connectRedis(server.url, 'producer', { ...server, timeoutMs: TIMEOUT_MS });
  try {
    await waitForRedis(redis, `The ${check} (${setting})`, TIMEOUT_MS);
    if (isQueue) await checkQueueRedis(redis);
    return [
      ok(check, isQueue ? 'is reachable, keeps its data and evicts nothing' : 'is reachable'),
      await memoryFinding(redis, check),
    ];
  } catch (error) {
    const { message } = error as Error;
    const fix = /cannot be reached/.test(message)
      ? `Start Redis, or correct ${setting}.`
      : 'Correct the settings of the server.';
    return [{ check, status: 'failed', detail: message, fix }];
  } finally {
    redis.disconnect();
  }
}

async function memoryFinding(redis: Connection, check: string): Promise<Finding> {
  const info = String(await redis.info('memory'));
  const bytes = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
  const used = bytes('used_memory');
  const limit = bytes('maxmemory');
  const megabytes = (value: number) => `${Math.round(value / MIB)} MiB`;
  if (limit > 0) return ok(check, `uses ${megabytes(used)} of ${megabytes(limit)}`);
  return {
    check,
    status: 'warning',
    detail: `uses ${megabytes(used)}, and has no maxmemory`,
    fix: 'Set maxmemory below the memory of the machine: without a limit the server can be killed.',
  };
}

async function modelFindings({ modelsDir }: Config): Promise<Finding[]> {
  try {
    const { versions, problems } = await listVersions(modelsDir);
    const faults = problems.map(
      ({ path, message }): Finding => ({
        check: 'models',
        status: 'warning',
        detail: `${path}: ${message}`,
        fix: 'Correct or remove the folder.',
      }),
    );
    if (versions.length > 0) return [ok('models', `${versions.length} versions in ${modelsDir}`), ...faults];
    const fix = 'Copy a file to MODEL/VERSION/model.onnx, or set MODELS_DIR.';
    return [{ check: 'models', status: 'warning', detail: `there is no model in ${modelsDir}`, fix }, ...faults];
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const detail = code === 'ENOENT' ? `there is no folder ${path.resolve(modelsDir)}` : message;
    return [{ check: 'models', status: 'failed', detail, fix: 'Create the folder, or correct MODELS_DIR.' }];
  }
}

async function limitFindings({ slotMemoryMb, apiProcesses }: Config): Promise<Finding[]> {
  const findings: Finding[] = [];
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '');
  const files = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  if (files !== undefined)
    findings.push(
      Number(files) >= OPEN_FILES
        ? ok('open files', `a process can open ${files} files and connections`)
        : {
            check: 'open files',
            status: 'warning',
            detail: `a process can open only ${files} files and connections`,
            fix: `Raise the limit to ${OPEN_FILES} or more: ulimit -n, LimitNOFILE of systemd, or ulimits of the container.`,
          },
    );
  const memory = await statfs('/dev/shm').catch(() => undefined);
  if (memory === undefined) return findings;
  const free = Math.floor((memory.bavail * memory.bsize) / MIB);
  const needed = slotMemoryMb * apiProcesses;
  findings.push(
    free >= needed
      ? ok('/dev/shm', `${free} MiB are free`)
      : {
          check: '/dev/shm',
          status: 'warning',
          detail: `${free} MiB are free, and SLOT_MEMORY allows ${needed} MiB`,
          fix: 'Give the container more shared memory (shm_size), or lower SLOT_MEMORY. Large inputs go through Redis until then.',
        },
  );
  return findings;
}

async function apiFindings({ host, port }: Config): Promise<Finding[]> {
  const near = { '0.0.0.0': '127.0.0.1', '::': '::1' }[host] ?? host;
  // The other commands use the same variable.
  const url = process.env.MILLRACE_URL || `http://${near.includes(':') ? `[${near}]` : near}:${port}`;
  try {
    const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    const { parts = {}, degraded = [] } = (await response.json()) as {
      parts?: Record<string, string>;
      degraded?: string[];
    };
    const faults = Object.entries(parts).filter(([, state]) => state !== 'ok');
    const detail = [...faults.map(([part, state]) => `${part}: ${state}`), ...degraded].join('; ');
    if (response.ok && detail === '') return [ok('API', `${url} is ready`)];
    return [
      {
        check: 'API',
        status: response.ok ? 'warning' : 'failed',
        detail: `${url}: ${detail}`,
        fix: 'Read the log of the API.',
      },
    ];
  } catch {
    return [
      {
        check: 'API',
        status: 'warning',
        detail: `no API responds at ${url}`,
        fix: 'Start the API (millrace api, or millrace serve), or set MILLRACE_URL to its address.',
      },
    ];
  }
}

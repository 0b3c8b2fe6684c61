/** Starts a private PostgreSQL server on this machine. */
import { mkdir, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Guard } from '../process/guard.ts';
import { type Part, startPart } from '../process/part.ts';
import { withFreePorts } from '../process/ports.ts';
import { endOrphan } from '../process/processes.ts';
import { StartError } from '../process/start-error.ts';
import { type Account, postgresAccount } from './account.ts';
import { findPostgres, type PostgresProgram } from './program.ts';

export interface LocalPostgresOptions {
  dataDir: string;
  logFile: string;
  password: string;
  guard: Guard;
  /** Whether a commit must survive a power cut. False only for temporary data, as in tests. */
  durable: boolean;
  /** A fixed port that the server keeps over restarts. The default is any free port. */
  port?: number;
}

export interface LocalPostgres {
  /** The database `postgres`, as its superuser. */
  url: string;
  part: Part;
  /**
   * Settles when a new cluster is on the disk. A power cut before then can lose the cluster, so return no promise
   * before then.
   */
  onDisk: Promise<void>;
}

const host = '127.0.0.1';
const user = 'millrace';
const startTimeoutMs = 60_000;

/**
 * Starts a private PostgreSQL on `dataDir`, which the first start creates. Resolves when the server accepts
 * connections.
 */
export async function startPostgres(options: LocalPostgresOptions): Promise<LocalPostgres> {
  const parent = path.dirname(options.dataDir);
  await mkdir(parent, { recursive: true });
  // Postgres reports its directory without symlinks, and /tmp is a symlink on macOS.
  const dataDir = path.join(await realpath(parent), path.basename(options.dataDir));
  const program = await findPostgres();
  const account = await postgresAccount(path.dirname(program.postgres), dataDir);
  const isNew = !(await hasCluster(dataDir));
  if (isNew) await createCluster({ program, account, dataDir, options });
  else await clearStalePid(dataDir);

  const settings = {
    listen_addresses: host,
    unix_socket_directories: '',
    // The default of 128 MB takes 6 MiB more before the first statement, and fills under load with pages that the system also caches.
    shared_buffers: '32MB',
    ...(options.durable ? {} : { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const startOn = async (port: number) => {
    const command = account.wrap(program.postgres, ['-D', dataDir, '-p', String(port), ...flags]);
    return { port, part: await untilReady(options, command) };
  };
  const { port, part } = await (options.port === undefined
    ? withFreePorts(1, ([free = 0]) => startOn(free))
    : startOn(options.port));
  // initdb does not wait for the disk. The next steps of the start need not wait either, and the sync runs beside them.
  const onDisk = isNew && options.durable ? syncCluster({ program, account, dataDir, options }) : Promise.resolve();
  // Callers that await onDisk still see the rejection. A sync that ends together with Postgres matters to no caller.
  onDisk.catch(() => {});
  return { url: `postgres://${user}:${options.password}@${host}:${port}/postgres`, part, onDisk };
}

interface NewCluster {
  program: PostgresProgram;
  account: Account;
  dataDir: string;
  options: LocalPostgresOptions;
}

async function hasCluster(dataDir: string): Promise<boolean> {
  const version = await readFile(path.join(dataDir, 'PG_VERSION'), 'utf8').catch(() => undefined);
  return version !== undefined;
}

/**
 * Creates the cluster under a temporary name and moves the complete cluster into place, so that a killed initdb leaves
 * no folder that looks complete.
 */
async function createCluster({ program, account, dataDir, options }: NewCluster): Promise<void> {
  const unfinished = `${dataDir}.unfinished`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { mode: 0o700 });
  await account.own(unfinished);
  const passwordFile = `${unfinished}.password`;
  await writeFile(passwordFile, `${options.password}\n`, { mode: 0o600 });
  await account.own(passwordFile);
  const flags = [
    `--pgdata=${unfinished}`,
    `--username=${user}`,
    '--auth=scram-sha-256',
    `--pwfile=${passwordFile}`,
    '--encoding=UTF8',
    // Text sorts in the same order on every machine, independent of the installed locales.
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--no-sync',
    '--no-instructions',
  ];
  try {
    await runInitdb(account.wrap(program.initdb, flags), options);
  } finally {
    await rm(passwordFile, { force: true });
  }
  await rename(unfinished, dataDir);
}

function syncCluster({ program, account, dataDir, options }: NewCluster): Promise<void> {
  return runInitdb(account.wrap(program.initdb, ['--sync-only', `--pgdata=${dataDir}`]), options);
}

async function runInitdb(command: ReturnType<Account['wrap']>, options: LocalPostgresOptions): Promise<void> {
  const part = await startPart(options.guard, {
    name: 'initdb',
    ...command,
    env: { ...process.env, LC_ALL: 'C' },
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 5_000,
    logFile: options.logFile,
  });
  const { code } = await part.exited;
  if (code !== 0) throw new StartError(`initdb failed:\n${part.lastLines().slice(-5).join('\n')}`);
}

/**
 * Ends a Postgres that outlived its launcher, and removes the pid file of a Postgres that was killed before it could do
 * so.
 */
async function clearStalePid(dataDir: string): Promise<void> {
  const pidFile = path.join(dataDir, 'postmaster.pid');
  await endOrphan(pidFile, dataDir, 'SIGINT');
  // The id in the file is not a Postgres on this data, but Postgres itself checks only whether the id is in use.
  await rm(pidFile, { force: true });
}

async function untilReady(options: LocalPostgresOptions, command: ReturnType<Account['wrap']>): Promise<Part> {
  const ready = Promise.withResolvers<'ready'>();
  const part = await startPart(options.guard, {
    name: 'postgres',
    ...command,
    env: { ...process.env, LC_ALL: 'C' },
    // "Fast shutdown" ends open transactions instead of waiting for their clients.
    stopSignal: 'SIGINT',
    stopTimeoutMs: 20_000,
    logFile: options.logFile,
    onLine: (line) => {
      if (line.includes('database system is ready to accept connections')) ready.resolve('ready');
    },
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), startTimeoutMs);
  });
  const outcome = await Promise.race([ready.promise, part.exited, late]);
  clearTimeout(timer);
  if (outcome === 'ready') return part;
  await part.stop();
  const reason = outcome === 'late' ? `was not ready within ${startTimeoutMs / 1000} seconds` : 'ended while starting';
  throw new StartError(`Postgres ${reason}:\n${part.lastLines().slice(-5).join('\n')}`);
}

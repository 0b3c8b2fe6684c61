/**
 * Starts two Redis servers for the queue, two for the cache, and three sentinels that monitor both pairs, all as real
 * processes.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Guard } from '@millrace/local/process/guard';
import { type Part, startPart } from '@millrace/local/process/part';
import { freePort } from '@millrace/local/process/ports';
import { findOrInstallRedis, type RedisProgram } from '@millrace/local/redis/program';
import { type LocalRedis, startRedis } from '@millrace/local/redis/server';
import { Redis } from 'ioredis';

const SERVERS_PASSWORD = 'servers';
const SENTINELS_PASSWORD = 'sentinels';
const DOWN_AFTER_MS = 1_000;
const DEADLINE_MS = 30_000;
const PAIRS = ['queue', 'cache'] as const;

export type PairName = (typeof PAIRS)[number];

export interface SentinelSetup {
  /** Millrace's environment. The hosts in the URLs are not used. */
  env: Record<string, string>;
  /** Port of the primary according to the sentinels. */
  primaryPort(pair: PairName): Promise<number>;
  /** Makes the sentinels promote the replica of a healthy pair. */
  failover(pair: PairName): Promise<void>;
  /** Kills the primary of a pair with SIGKILL. */
  killPrimary(pair: PairName): Promise<void>;
  /** Kills one of the three sentinels with SIGKILL. */
  killSentinel(): Promise<void>;
  /** Resolves to the port of the new primary. */
  untilMoved(pair: PairName, from: number): Promise<number>;
  stop(): Promise<void>;
}

const portOf = ({ url }: LocalRedis): number => Number(new URL(url).port);

export async function startSentinels(dir: string, guard: Guard): Promise<SentinelSetup> {
  const program = await findOrInstallRedis(() => {});
  const servers = new Map<number, LocalRedis>();
  const primaries = new Map<PairName, number>();
  for (const pair of PAIRS) {
    const start = async (name: string, settings: readonly string[] = []) => {
      const server = await startRedis({
        program,
        dataDir: path.join(dir, `${pair}-${name}`),
        logFile: path.join(dir, `${pair}-${name}.log`),
        password: SERVERS_PASSWORD,
        guard,
        settings: [`masterauth ${SERVERS_PASSWORD}`, 'repl-diskless-sync-delay 0', ...settings],
      });
      servers.set(portOf(server), server);
      return portOf(server);
    };
    const primary = await start('a');
    await start('b', [`replicaof 127.0.0.1 ${primary}`]);
    primaries.set(pair, primary);
  }
  const sentinels: { port: number; part: Part }[] = [];
  for (let n = 0; n < 3; n += 1) sentinels.push(await startSentinel({ program, guard, dir, n, primaries }));
  const command = async (...words: string[]): Promise<unknown> => {
    const { port } = sentinels[0]!;
    const client = new Redis({ port, password: SENTINELS_PASSWORD, retryStrategy: () => 50 });
    client.on('error', () => {});
    try {
      return await client.call(...(words as [string, ...string[]]));
    } finally {
      client.disconnect();
    }
  };
  const primaryPort = async (pair: PairName) =>
    Number(((await command('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', pair)) as string[])[1]);
  const addresses = sentinels.map(({ port }) => `127.0.0.1:${port}`).join();
  // No sentinel can fail over until each sentinel knows the replicas and the other sentinels.
  for (const pair of PAIRS)
    await until(
      `the sentinels know the replica of ${pair}`,
      async () =>
        String(await command('SENTINEL', 'CKQUORUM', pair)).startsWith('OK 3') &&
        ((await command('SENTINEL', 'REPLICAS', pair)) as unknown[]).length === 1,
    );
  return {
    env: {
      REDIS_URL: `redis://:${SERVERS_PASSWORD}@not-used`,
      REDIS_SENTINELS: addresses,
      REDIS_SENTINEL_PRIMARY: 'queue',
      REDIS_SENTINEL_PASSWORD: SENTINELS_PASSWORD,
      CACHE_REDIS_URL: `redis://:${SERVERS_PASSWORD}@not-used`,
      CACHE_REDIS_SENTINELS: addresses,
      CACHE_REDIS_SENTINEL_PRIMARY: 'cache',
      CACHE_REDIS_SENTINEL_PASSWORD: SENTINELS_PASSWORD,
      REDIS_CLUSTER: 'false',
    },
    primaryPort,
    failover: (pair) =>
      until(`the sentinels begin a failover of ${pair}`, async () => {
        await command('SENTINEL', 'FAILOVER', pair);
        return true;
      }),
    async killPrimary(pair) {
      const { part } = servers.get(await primaryPort(pair))!;
      process.kill(part.pid, 'SIGKILL');
      await part.exited;
    },
    async killSentinel() {
      const { part } = sentinels.pop()!;
      process.kill(part.pid, 'SIGKILL');
      await part.exited;
    },
    async untilMoved(pair, from) {
      await until(`${pair} has a new primary`, async () => (await primaryPort(pair)) !== from);
      return primaryPort(pair);
    },
    async stop() {
      await Promise.all(sentinels.map(({ part }) => part.stop()));
      await Promise.all([...servers.values()].map(({ part }) => part.stop()));
    },
  };
}

interface SentinelParams {
  program: RedisProgram;
  guard: Guard;
  dir: string;
  n: number;
  primaries: ReadonlyMap<PairName, number>;
}

async function startSentinel({
  program,
  guard,
  dir,
  n,
  primaries,
}: SentinelParams): Promise<{ port: number; part: Part }> {
  const port = await freePort();
  const cwd = path.join(dir, `sentinel-${n}`);
  await mkdir(cwd, { recursive: true });
  const lines = [
    'bind 127.0.0.1',
    `port ${port}`,
    `dir ${JSON.stringify(cwd)}`,
    `requirepass ${SENTINELS_PASSWORD}`,
    `sentinel sentinel-pass ${SENTINELS_PASSWORD}`,
  ];
  for (const [pair, primary] of primaries)
    lines.push(
      `sentinel monitor ${pair} 127.0.0.1 ${primary} 2`,
      `sentinel auth-pass ${pair} ${SERVERS_PASSWORD}`,
      `sentinel down-after-milliseconds ${pair} ${DOWN_AFTER_MS}`,
      `sentinel failover-timeout ${pair} 5000`,
    );
  const configFile = path.join(cwd, 'sentinel.conf');
  await writeFile(configFile, `${lines.join('\n')}\n`, { mode: 0o600 });
  const part = await startPart(guard, {
    name: `sentinel ${n}`,
    command: program.file,
    argv0: program.argv0,
    args: [configFile, '--sentinel'],
    cwd,
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 10_000,
    logFile: path.join(dir, `sentinel-${n}.log`),
  });
  return { port, part };
}

async function until(goal: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!(await holds().catch(() => false))) {
    if (performance.now() > deadline) throw new Error(`Not reached within ${DEADLINE_MS / 1_000} s: ${goal}.`);
    await delay(25);
  }
}

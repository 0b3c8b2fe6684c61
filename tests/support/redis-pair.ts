/** A private Redis primary with a replica, behind a proxy whose address stays while the roles change. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startGuard } from '@millrace/local/process/guard';
import { findOrInstallRedis } from '@millrace/local/redis/program';
import { type LocalRedis, startRedis } from '@millrace/local/redis/server';
import { Redis } from 'ioredis';
import { expect, vi } from 'vitest';
import { startProxy, type TcpProxy } from '../chaos/proxy.ts';

const PASSWORD = 'pair';

export interface RedisPair {
  /** The address of the proxy. */
  readonly url: string;
  readonly proxy: TcpProxy;
  /** Direct connections that bypass the proxy. */
  readonly first: Redis;
  readonly second: Redis;
  /** Makes the second server the primary and the first its replica. Open connections stay open. */
  demoteFirst(): Promise<void>;
  /** Kills the first server with SIGKILL. Resolves when its replica has lost the connection. */
  endFirst(): Promise<void>;
  /** Directs new connections through the proxy to the second server. */
  leadToSecond(): void;
  stop(): Promise<void>;
}

const portOf = (url: string): number => Number(new URL(url).port);

export async function startRedisPair(): Promise<RedisPair> {
  const dir = await mkdtemp(path.join(tmpdir(), 'millrace-pair-'));
  const guard = startGuard();
  const program = await findOrInstallRedis(() => {});
  const start = (name: string, settings: readonly string[]): Promise<LocalRedis> =>
    startRedis({
      program,
      dataDir: path.join(dir, name),
      logFile: path.join(dir, `${name}.log`),
      password: PASSWORD,
      guard,
      settings: [`masterauth ${PASSWORD}`, 'repl-diskless-sync-delay 0', ...settings],
    });
  const one = await start('first', []);
  const two = await start('second', [`replicaof 127.0.0.1 ${portOf(one.url)}`]);
  const proxy = await startProxy(portOf(one.url));
  const first = new Redis(one.url);
  const second = new Redis(two.url);
  await untilLinked(second);
  const through = new URL(one.url);
  through.port = String(proxy.port);
  return {
    url: through.href,
    proxy,
    first,
    second,
    async demoteFirst() {
      await second.call('REPLICAOF', 'NO', 'ONE');
      await first.call('REPLICAOF', '127.0.0.1', String(portOf(two.url)));
      await untilLinked(first);
    },
    async endFirst() {
      first.disconnect();
      process.kill(one.part.pid, 'SIGKILL');
      await one.part.exited;
      await vi.waitFor(async () => expect(await second.info('replication')).toContain('master_link_status:down'), {
        timeout: 60_000,
        interval: 20,
      });
    },
    leadToSecond: () => proxy.target(portOf(two.url)),
    async stop() {
      first.disconnect();
      second.disconnect();
      await proxy.close();
      await Promise.all([one.part.stop(), two.part.stop()]);
      await guard.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Resolves when a replica has its primary's data. */
async function untilLinked(replica: Redis): Promise<void> {
  await vi.waitFor(
    async () => {
      const info = await replica.info('replication');
      if (!info.includes('master_link_status:up')) throw new Error(`the replica has no copy yet: ${info}`);
    },
    { timeout: 60_000, interval: 20 },
  );
}

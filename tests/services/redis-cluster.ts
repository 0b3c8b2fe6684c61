/** Starts a Redis Cluster for tests on temporary data. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { localPassword } from '@millrace/local/password';
import { startGuard } from '@millrace/local/process/guard';
import { type LocalRedisCluster, startRedisCluster } from '@millrace/local/redis/cluster';
import { findOrInstallRedis } from '@millrace/local/redis/program';
import { Redis } from 'ioredis';

/** Three masters, by default without replicas. `url` is the address of one master. */
export async function startTestCluster({ replicas = false } = {}): Promise<LocalRedisCluster & { url: string }> {
  const dir = await mkdtemp(path.join(tmpdir(), 'millrace-cluster-'));
  const guard = startGuard();
  const clients = new Map<string, Redis>();
  const command = (url: string, ...words: string[]) => {
    let client = clients.get(url);
    if (!client) {
      client = new Redis(url, { retryStrategy: () => 50 });
      client.on('error', () => {});
      clients.set(url, client);
    }
    return client.call(...(words as [string, ...string[]]));
  };
  const end = async () => {
    for (const client of clients.values()) client.disconnect();
    await guard.close();
    await rm(dir, { recursive: true, force: true });
  };
  try {
    const program = await findOrInstallRedis(console.log);
    const password = await localPassword(dir);
    const cluster = await startRedisCluster({ program, dir, password, guard, masters: 3, replicas, command });
    const stop = async () => {
      await cluster.stop();
      await end();
    };
    return { ...cluster, url: cluster.nodes[0]?.url as string, stop };
  } catch (error) {
    await end();
    throw error;
  }
}

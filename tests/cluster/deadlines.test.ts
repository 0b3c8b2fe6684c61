/**
 * Tests time limits of commands on a cluster: a silent node is abandoned, and a large reply that still arrives is not
 * cut.
 */
import { connectRedis, waitForRedis } from '@millrace/shared/redis/connection';
import { type Cluster, Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { startProxy, type TcpProxy } from '../chaos/proxy.ts';
import { startTestCluster } from '../services/redis-cluster.ts';

const TIMEOUT_MS = 300;
const BYTES = 4 * 1_048_576;
let cluster: Awaited<ReturnType<typeof startTestCluster>>;
const direct: Redis[] = [];
/** A proxy for each master. The masters announce the ports of the proxies. */
const proxies: TcpProxy[] = [];
/** A key on each master. */
const keys: string[] = [];
let producer: Cluster;

beforeAll(async () => {
  cluster = await startTestCluster();
  for (const { url, port } of cluster.nodes) {
    const node = new Redis(url);
    const proxy = await startProxy(port);
    await node.config('SET', 'cluster-announce-port', String(proxy.port));
    direct.push(node);
    proxies.push(proxy);
  }
  // Waits until every node knows the addresses of the other nodes.
  await vi.waitFor(
    async () => {
      const lists = await Promise.all(direct.map((node) => node.call('CLUSTER', 'NODES')));
      for (const list of lists) for (const { port } of proxies) expect(String(list)).toContain(`:${port}@`);
    },
    { timeout: 20_000 },
  );
  for (const node of direct) keys.push(await keyOn(node));
  const url = new URL(cluster.url);
  url.port = String(proxies[0]?.port);
  producer = connectRedis(url.href, 'producer', { cluster: true, timeoutMs: TIMEOUT_MS }) as Cluster;
  await waitForRedis(producer, 'The cluster', 20_000);
  // Waits until the client is connected to all nodes.
  await vi.waitFor(() => Promise.all(keys.map((key) => producer.strlen(key))), { timeout: 20_000 });
});
afterAll(async () => {
  producer?.disconnect();
  for (const node of direct) node.disconnect();
  await Promise.all(proxies.map((proxy) => proxy.close()));
  await cluster?.stop();
});
afterEach(() => {
  for (const proxy of proxies) proxy.behave({ stalled: false, dripPerS: 0 });
});

/** Writes a large value to a node and returns its key. */
async function keyOn(node: Redis): Promise<string> {
  for (let n = 0; ; n += 1) {
    const moved = await node.set(`key-${n}`, 'x'.repeat(BYTES)).catch((error: Error) => error.message);
    if (moved === 'OK') return `key-${n}`;
    if (!moved.startsWith('MOVED')) throw new Error(moved);
  }
}

describe('a command on a cluster', () => {
  test('gets a large reply that takes longer than its time limit to arrive', async () => {
    proxies[1]?.behave({ dripPerS: BYTES });
    expect(await producer.strlen(keys[0] as string)).toBe(BYTES);
    expect((await producer.get(keys[1] as string))?.length).toBe(BYTES);
    const pipeline = producer.pipeline().strlen(keys[1] as string);
    expect(await pipeline.get(keys[1] as string).exec()).toEqual([
      [null, BYTES],
      [null, 'x'.repeat(BYTES)],
    ]);
  });

  test('ends at its time limit on a silent node while another node sends data', async () => {
    proxies[1]?.behave({ stalled: true });
    let ended = false;
    const late = producer.strlen(keys[1] as string).finally(() => {
      ended = true;
    });
    late.catch(() => {});
    let replies = 0;
    while (!ended) {
      await producer.get(keys[0] as string);
      replies += 1;
    }
    await expect(late).rejects.toThrow('Command timed out');
    expect(replies).toBeGreaterThan(0);
  });
});

/** The queue Redis is replaced by its replica, emptied or paused, without a restart of the same server. */
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findOrInstallRedis } from '@millrace/local/redis/program';
import { startRedis } from '@millrace/local/redis/server';
import { Redis } from 'ioredis';
import { type Fault, judgeRefused } from '../fault.ts';
import { startLoad } from '../load.ts';
import { quick } from '../models.ts';

export const failoverFaults: Fault[] = [
  {
    name: 'redis-failover',
    how: 'kill -9 of the queue Redis under load; its replica is promoted and takes over the address',
    async run({ stage, servers, random, note }) {
      const { port, password } = new URL(servers.redis.directUrl);
      const replica = await startRedis({
        program: await findOrInstallRedis(() => {}),
        dataDir: path.join(servers.dir, `replica-${Date.now()}`),
        logFile: path.join(servers.dir, 'replica.log'),
        password,
        guard: servers.guard,
        settings: [`replicaof 127.0.0.1 ${port}`, `masterauth ${password}`],
      });
      const client = new Redis(replica.url);
      client.on('error', () => {});
      try {
        const load = startLoad(stage.client, random);
        await untilCopied(client);
        await delay(1_000);
        await servers.redis.kill();
        await client.call('REPLICAOF', 'NO', 'ONE');
        servers.redis.proxy.target(Number(new URL(replica.url).port));
        const healedAt = Date.now();
        await delay(2_000);
        await load.stop();
        const refused = stage.client.replies.filter(({ status }) => status === 503);
        note(`${refused.length} refused with 503`);
        return healedAt;
      } finally {
        client.disconnect();
        stage.atEnd(async () => {
          await replica.part.stop();
          await servers.redis.start();
        });
      }
    },
  },
  {
    name: 'redis-flushed',
    how: 'FLUSHALL of the queue Redis under load, three times',
    async run({ stage, random, note }) {
      const load = startLoad(stage.client, random, {
        options: () => ({ mode: random() < 0.5 ? 'wait' : 'async', waitS: 2 }),
      });
      for (let n = 0; n < 3; n += 1) {
        await delay(1_000 + random() * 1_000);
        await stage.withRedis((redis) => redis.flushall());
      }
      const healedAt = Date.now();
      await delay(1_000);
      await load.stop();
      note(`${stage.client.entries.filter(({ promised }) => promised).length} promises`);
      return healedAt;
    },
  },
  {
    name: 'redis-paused',
    how: 'CLIENT PAUSE of the queue Redis, all commands, for 4 s under load',
    async run({ stage, random, note, expect, goal }) {
      const load = startLoad(stage.client, random, {
        options: () => ({ mode: random() < 0.5 ? 'wait' : 'async', waitS: 2 }),
      });
      await delay(1_000);
      await stage.withRedis((redis) => redis.client('PAUSE', 4_000, 'ALL'));
      const from = Date.now();
      await delay(1_000);
      const fresh = await Promise.all(Array.from({ length: 10 }, () => stage.client.submit(quick())));
      await delay(Math.max(0, from + 4_000 - Date.now()));
      const healedAt = Date.now();
      await delay(1_000);
      await load.stop();
      judgeRefused(fresh, { note, expect, goal });
      return healedAt;
    },
  },
];

/** Resolves when a replica has all data of its master. */
async function untilCopied(client: Redis): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!/master_link_status:up/.test(await client.info('replication'))) {
    if (performance.now() > deadline) throw new Error('the replica did not copy the data in time');
    await delay(20);
  }
}

/** A primary Redis becomes a replica of its successor, as in every managed failover. */
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findOrInstallRedis } from '@millrace/local/redis/program';
import { type LocalRedis, startRedis } from '@millrace/local/redis/server';
import { Redis } from 'ioredis';
import { type Context, type Fault, firstResultS, slowest } from '../fault.ts';
import { startLoad } from '../load.ts';
import type { Server } from '../servers.ts';

/** How long the address still leads to the demoted server. */
const LATE_MS = 2_000;

function demoted(which: 'redis' | 'cache', cut: boolean): Fault {
  const name = which === 'redis' ? 'queue' : 'cache';
  return {
    name: `${name}-demoted${cut ? '-cut' : ''}`,
    how: `the ${name} Redis becomes a replica of its replica under load; its connections ${cut ? 'are cut' : 'stay open'}, and ${LATE_MS / 1_000} s later the address leads to the new primary`,
    async run(context) {
      const { stage, servers, random, note, expect } = context;
      const server = servers[which];
      const pair = await addReplica(context, server);
      const load = startLoad(stage.client, random, {
        options: () => ({ mode: random() < 0.5 ? 'wait' : 'async', waitS: 2 }),
      });
      await delay(1_000);
      const demotedAt = Date.now();
      await pair.swap();
      if (cut) server.proxy.cut();
      await delay(LATE_MS);
      server.proxy.target(pair.port);
      if (cut) server.proxy.cut();
      const healedAt = Date.now();
      await delay(2_000);
      await load.stop();
      const during = stage.client.replies.filter(({ atMs }) => atMs > demotedAt && atMs < healedAt);
      const refused = during.filter(({ status }) => status === 503);
      note(
        `meanwhile ${during.length} requests, ${refused.length} refused with 503, the slowest in ${slowest(refused)} ms`,
      );
      note(`the first new result came ${firstResultS(stage, healedAt)} after the address led to the new primary`);
      if (which === 'cache')
        expect(refused.length === 0, `without a cache: ${JSON.stringify(stage.client.tally(demotedAt))}`);
      await untilLeft(context, pair.old);
      note(`no connection to the old primary after ${((Date.now() - healedAt) / 1_000).toFixed(1)} s`);
      return healedAt;
    },
  };
}

export const demotionFaults: Fault[] = [
  demoted('redis', false),
  demoted('redis', true),
  demoted('cache', false),
  demoted('cache', true),
];

interface Pair {
  old: Redis;
  /** Port of the server that replaces the old primary. */
  port: number;
  swap(): Promise<void>;
}

async function addReplica({ stage, servers }: Context, server: Server): Promise<Pair> {
  const { port, password } = new URL(server.directUrl);
  const replica: LocalRedis = await startRedis({
    program: await findOrInstallRedis(() => {}),
    dataDir: path.join(servers.dir, `replica-${Date.now()}`),
    logFile: path.join(servers.dir, 'replica.log'),
    password,
    guard: servers.guard,
    settings: [`replicaof 127.0.0.1 ${port}`, `masterauth ${password}`, 'repl-diskless-sync-delay 0'],
  });
  const old = new Redis(server.directUrl);
  const fresh = new Redis(replica.url);
  for (const one of [old, fresh]) one.on('error', () => {});
  const newPort = Number(new URL(replica.url).port);
  // The next stage starts with the original server as a primary with its own data.
  stage.atEnd(async () => {
    await old.call('REPLICAOF', 'NO', 'ONE');
    server.proxy.target(Number(port));
    server.proxy.cut();
    for (const one of [old, fresh]) one.disconnect();
    await replica.part.stop();
  });
  await untilCopied(fresh);
  return {
    old,
    port: newPort,
    async swap() {
      await old.config('SET', 'masterauth', password);
      await fresh.call('REPLICAOF', 'NO', 'ONE');
      await old.call('REPLICAOF', '127.0.0.1', String(newPort));
    },
  };
}

async function untilCopied(client: Redis): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!/master_link_status:up/.test(await client.info('replication'))) {
    if (performance.now() > deadline) throw new Error('the replica did not copy the data in time');
    await delay(20);
  }
}

/** Resolves when no Millrace process is connected to the old primary any more. */
async function untilLeft({ expect }: Context, old: Redis): Promise<void> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const list = String(await old.client('LIST'));
    const left = list.split('\n').filter((line) => line.includes('name=millrace-'));
    if (left.length === 0) return;
    if (performance.now() > deadline) {
      expect(false, `${left.length} connections stayed with the old primary: ${left[0]}`);
      return;
    }
    await delay(20);
  }
}

/**
 * Kills workers, and interrupts or stalls Postgres and Redis at random while events arrive. FAULT_EVENTS and
 * FAULT_EVENTS_PER_S make the test longer and harder, FAULT_SEED repeats a run, and FAULT_KINDS=none causes no faults.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { recordTerminal } from '@millrace/shared/ledger/ledger';
import { createPool } from '@millrace/shared/postgres/db';
import { newPredictionId, shardOf } from '@millrace/shared/predictions/ids';
import { connectRedis } from '@millrace/shared/redis/connection';
import { createWebhookTimers } from '@millrace/shared/webhooks/timers';
import { expect, inject, test } from 'vitest';
import { seeded } from '../chaos/random.ts';
import { terminalRow } from '../ledger/rows.ts';
import { startStallingProxy } from '../postgres/stalling-proxy.ts';
import { rawId } from '../support/raw-id.ts';
import { startReceiver } from '../support/receiver.ts';
import { useTestDatabase } from '../support/test-database.ts';
import { testPrefix } from '../support/test-prefix.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.ts';
import { insertEndpoint } from './started.ts';

const EVENTS = Number(process.env.FAULT_EVENTS ?? 400);
const EVENTS_PER_S = Number(process.env.FAULT_EVENTS_PER_S ?? 50);
const KINDS = (process.env.FAULT_KINDS ?? 'kill,kill,cut postgres,cut redis,stall postgres,stall redis').split(',');
const SEED = Number(process.env.FAULT_SEED ?? Date.now() % 1_000_000);
const BATCH = 10;
const MODEL = 'm';
const GOOD = ['/200/a', '/200/b', '/204/c'];
const BAD = ['/hang/a', '/hang/b', '/500/a', '/reset/a', '/drip/a', '/redirect/a', '/busy/a', '/huge/a'];
const database = useTestDatabase();

// The proxy stands in front of one address, and a cluster has several addresses.
const onOneRedis = test.skipIf(inject('redisCluster'));

onOneRedis(
  'every event reaches every good receiver under one id despite the faults',
  { timeout: 600_000 },
  async () => {
    console.log(`FAULT_SEED=${SEED}`);
    const random = seeded(SEED);
    const trap = await startReceiver();
    const receiver = await startReceiver({ redirectTo: `${trap.url}/trap` });
    const [postgres, redis] = [await startStallingProxy(database.url), await startStallingProxy(inject('redisUrl'))];
    const keyPrefix = testPrefix();
    const env = {
      WORKER_ROLES: 'webhooks',
      KEY_PREFIX: keyPrefix,
      DATABASE_URL: postgres.url,
      REDIS_URL: redis.url,
      WEBHOOK_ALLOW_HTTP: 'true',
      WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8',
      WEBHOOK_TIMEOUT_MS: '3000',
      LOG_LEVEL: 'info',
    };
    const db = createPool({ databaseUrl: database.url, max: 4, statementTimeoutMs: 10_000, applicationName: 'faults' });
    const connection = connectRedis(inject('redisUrl'), 'producer', { timeoutMs: 5_000 });
    await new Promise((resolve) => connection.once('ready', resolve));
    const timers = createWebhookTimers({ connection, keyPrefix });
    for (const path of [...GOOD, ...BAD, '/200/flapping']) {
      await insertEndpoint(db, { url: receiver.url + path, models: [MODEL] });
    }
    const workers: WorkerProcess[] = await Promise.all([startWorkerProcess(env), startWorkerProcess(env)]);

    let recording = true;
    const faults: Record<string, number> = {};
    const starting: Promise<void>[] = [];
    /**
     * A worker that starts while a store is unavailable ends. This function starts workers again, as a supervisor does.
     */
    async function startAgain(): Promise<void> {
      const worker = await startWorkerProcess(env).catch(() => undefined);
      if (worker) workers.push(worker);
      else await startAgain();
    }
    async function disturb(): Promise<void> {
      while (recording) {
        await delay(400 + random() * 1_200);
        const fault = KINDS[Math.floor(random() * KINDS.length)] as string;
        if (fault === 'none') continue;
        faults[fault] = (faults[fault] ?? 0) + 1;
        receiver.script('/200/flapping', 500, 503);
        const store = fault.endsWith('redis') ? redis : postgres;
        if (fault === 'kill') {
          const at = Math.floor(random() * workers.length);
          const [victim] = workers.splice(at, 1);
          await victim?.kill();
          starting.push(startAgain());
        } else if (fault.startsWith('cut')) {
          store.cut();
        } else {
          store.stall();
          await delay(500 + random() * 1_000);
          store.resume();
        }
      }
    }
    const disturbed = disturb();
    const recordedAt = new Map<string, number>();
    for (let done = 0; done < EVENTS; done += BATCH) {
      const rows = Array.from({ length: BATCH }, () =>
        terminalRow({ model: MODEL, id: newPredictionId(shardOf(MODEL), Date.now()) }),
      );
      const { deliveries } = await recordTerminal(db, rows);
      for (const { id } of rows) recordedAt.set(id, Date.now());
      await timers.scheduleDeliveries(deliveries);
      await delay((1_000 * BATCH) / EVENTS_PER_S);
    }
    recording = false;
    await disturbed;
    await Promise.all(starting);

    const arrived = (path: string) => new Set(receiver.at(path).map(({ headers }) => headers['webhook-id']));
    const wanted = [...GOOD, '/200/flapping'];
    await expect
      .poll(() => wanted.map((path) => arrived(path).size), { timeout: 60_000, interval: 200 })
      .toEqual(wanted.map(() => EVENTS));
    const { rows: ids } = await db.query('SELECT id FROM events');
    const known = new Set(ids.map(({ id }) => id));
    for (const { headers } of receiver.received) expect(known).toContain(headers['webhook-id']);
    expect(trap.connections()).toBe(0);

    const good = GOOD.flatMap((path) => receiver.at(path));
    const first = new Map<string, number>();
    for (const { path, headers, body, at } of good) {
      const key = `${path} ${headers['webhook-id']}`;
      if (!first.has(key)) first.set(key, at - (recordedAt.get(rawId(JSON.parse(body).data.id)) as number));
    }
    const latencies = [...first.values()].sort((a, b) => a - b);
    const share = (of: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * of))];
    console.log(
      JSON.stringify({
        events: EVENTS,
        faults,
        attempts: receiver.received.length,
        goodArrived: first.size,
        goodRepeated: good.length - first.size,
        latencyMs: { p50: share(0.5), p90: share(0.9), p99: share(0.99), most: share(1) },
      }),
    );
    const codes = await Promise.all(workers.map((worker) => worker.stop()));
    expect(codes).toEqual(codes.map(() => 0));
    await timers.close();
    connection.disconnect();
    await Promise.all([db.end(), postgres.close(), redis.close(), receiver.close(), trap.close()]);
  },
);

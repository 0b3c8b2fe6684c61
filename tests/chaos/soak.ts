/**
 * `npm run test:soak -- --minutes N [--seed N]` runs a mixed load with a fault every 15 seconds and measures growth:
 * memory and file descriptors of an API and a worker that run throughout, bytes of Redis, and rows. Checks the ledger
 * at the end and exits with 1 when the ledger is not clean.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startLoad } from './load.ts';
import { writeModels } from './models.ts';
import type { Program } from './processes.ts';
import { type Random, seeded } from './random.ts';
import { startServers } from './servers.ts';
import { slope } from './slope.ts';
import { openStage, type Stage } from './stage.ts';
import { verify } from './verify.ts';

const FAULT_EVERY_MS = 15_000;
const SAMPLE_EVERY_MS = 2_000;
// Memory that a process takes while warming up is not a leak.
const WARM_UP_SHARE = 0.25;

const { values } = parseArgs({ options: { minutes: { type: 'string' }, seed: { type: 'string' } } });
const minutes = Number(values.minutes ?? 10);
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
if (!(minutes > 0)) throw new Error(`--minutes must be a number above 0, and is '${values.minutes}'.`);
console.log(`Seed ${seed}. ${minutes} minutes.`);

const servers = await startServers(console.log);
let clean = false;
try {
  await writeModels(path.join(servers.dir, 'models'));
  // Redis drops ended predictions within seconds, so that growth becomes visible.
  const stage = await openStage(servers, { workers: 1, env: { LIVE_TTL_MS: '10000' } });
  const [api, worker] = [stage.apis[0] as Program, stage.workers[0] as Program];
  await stage.startWorker();
  clean = await soak(stage, api, worker, seeded(seed));
  await stage.close();
} finally {
  await servers.close();
}
process.exit(clean ? 0 : 1);

async function soak(stage: Stage, api: Program, worker: Program, random: Random): Promise<boolean> {
  const load = startLoad(stage.client, random, { pauseMs: 40 });
  const startedAt = Date.now();
  const until = startedAt + minutes * 60_000;
  const samples = new Map<string, { x: number; y: number }[]>();
  let faultAt = startedAt + FAULT_EVERY_MS;
  while (Date.now() < until) {
    const x = (Date.now() - startedAt) / 60_000;
    for (const [name, y] of Object.entries(await sample(stage, api, worker))) {
      const points = samples.get(name) ?? [];
      points.push({ x, y });
      samples.set(name, points);
    }
    if (Date.now() > faultAt) {
      faultAt = Date.now() + FAULT_EVERY_MS;
      console.log(`${x.toFixed(1)} min: ${await oneFault(stage, worker, random)}`);
    }
    await delay(SAMPLE_EVERY_MS);
  }
  await load.stop();
  const { problems, ...verdict } = await verify(stage);
  console.log(JSON.stringify({ ...verdict, replies: stage.client.tally() }));
  for (const problem of problems.slice(0, 20)) console.log(problem);
  for (const [name, points] of samples) {
    const settled = points.filter(({ x }) => x >= minutes * WARM_UP_SHARE);
    const [first, last] = [settled[0]?.y ?? 0, settled.at(-1)?.y ?? 0];
    console.log(`${name}: ${first.toFixed(1)} to ${last.toFixed(1)}, ${slope(settled).toFixed(2)} a minute`);
  }
  return problems.length === 0;
}

async function sample(stage: Stage, api: Program, worker: Program): Promise<Record<string, number>> {
  const out: Record<string, number> = {};
  for (const [name, { pid }] of Object.entries({ api, worker })) {
    const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    out[`${name} memory, MiB`] = Number(kib) / 1_024;
    out[`${name} file descriptors`] = readdirSync(`/proc/${pid}/fd`).length;
  }
  await stage.withRedis(async (redis) => {
    out['Redis, MiB'] = Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1]) / 1_048_576;
    out['Redis, keys'] = await redis.dbsize();
  });
  const [rows] = await stage.sql<{ n: number }>('SELECT count(*)::int AS n FROM predictions');
  out['ledger, rows'] = rows?.n ?? 0;
  return out;
}

/**
 * Injects one fault, heals the fault and returns its name. The API and one worker keep running, because they are
 * measured.
 */
async function oneFault(stage: Stage, measured: Program, random: Random): Promise<string> {
  const { redis, cache, postgres } = stage.servers;
  const faults: [string, () => Promise<unknown>][] = [
    [
      'a worker is killed',
      async () => {
        await stage.workers.find((one) => one !== measured)?.kill();
        await stage.startWorker();
      },
    ],
    ['Redis is restarted', () => redis.kill().then(() => redis.start())],
    ['Redis stalls for 2 s', () => frozen(redis, 2_000)],
    ['every connection to Redis is reset', async () => redis.proxy.cut()],
    ['the cache is restarted', () => cache.kill().then(() => cache.start())],
    ['Postgres is restarted', () => postgres.kill().then(() => postgres.start())],
    ['Postgres stalls for 2 s', () => frozen(postgres, 2_000)],
    [
      'an engine is killed',
      async () => {
        for (const pid of measured.children()) process.kill(pid, 'SIGKILL');
      },
    ],
  ];
  const [name, run] = faults[Math.floor(random() * faults.length)] as (typeof faults)[number];
  await run();
  return name;
}

async function frozen(server: Stage['servers']['redis'], forMs: number): Promise<void> {
  server.freeze();
  await delay(forMs);
  server.thaw();
}

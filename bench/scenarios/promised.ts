/** The scenario `promised`: large inputs of callers that do not wait, until every promise has ended. */
import { mkdtemp } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { Bench, Scenario } from '../bench.ts';
import { type Ledger, openLedger } from '../ledger.ts';
import { drive } from '../load/load.ts';
import type { Requests } from '../requests.ts';
import { type RivalFigures, round } from '../results.ts';
import { medians, usedBy } from '../rounds.ts';
import type { Rival } from '../stage.ts';
import { mean, writeModel } from '../tensors/models.ts';
import { randomRows, tensorRequests } from '../tensors/requests.ts';
import { untilDrained } from './accept.ts';

const connections = 16;
const SETTLED_MS = 500;
const IMAGE = [3, 224, 224];

export const promised: Scenario = {
  name: 'promised',
  about:
    '602 KB a request (float32 of 3 × 224 × 224, base64) without a wait: 16 clients, until every promise has ended',
  requires: ['millrace'],
  run: async (bench) => {
    const modelsDir = await mkdtemp(path.join(bench.stage.dir, 'models-'));
    await writeModel(modelsDir, 'image', mean(IMAGE));
    const floats = IMAGE.reduce((product, dim) => product * dim);
    const params = { modelsDir, model: 'image', dims: IMAGE, rows: randomRows(40, floats), headers: {}, fresh: true };
    const requests = tensorRequests('base64', params);
    const names = bench.rivals(['before', 'millrace']);
    const options = { modelsDir, env: { TENSOR_MODELS: 'image' } };
    const rivals = await Promise.all(names.map((name) => bench.stage.start(name, options)));
    const rounds = new Map(rivals.map(({ name }) => [name, [] as RivalFigures[]]));
    for (const rival of rivals) await promise(bench, rival, requests);
    for (let n = 1; n <= bench.rounds; n++)
      for (const rival of rivals) {
        bench.say(`round ${n} of ${bench.rounds}, ${rival.name}`);
        rounds.get(rival.name)?.push(await promise(bench, rival, requests));
      }
    const figures = Object.fromEntries([...rounds].map(([name, all]) => [name, medians(all)]));
    return {
      name: 'promised',
      rivals: figures,
      ratios: {
        ...ratio(figures, 'rps', 'promises/s'),
        ...ratio(figures, 'cpu_us', 'processor time'),
        ...ratio(figures, 'postgres_cpu_us', 'Postgres'),
      },
      goals: [],
    };
  },
};

const ratio = (figures: Record<string, RivalFigures>, figure: string, name: string): Record<string, number> => {
  const quotient = (figures.millrace?.[figure] ?? Number.NaN) / (figures.before?.[figure] ?? Number.NaN);
  return Number.isNaN(quotient) ? {} : { [`${name}, millrace/before`]: round(quotient) };
};

/** Figures of each promise that ended, from its request to its end. */
async function promise({ driver, seconds, stage }: Bench, rival: Rival, requests: Requests): Promise<RivalFigures> {
  const ledger = openLedger(rival.databaseUrl ?? '');
  const redis = new Redis(rival.redisUrl ?? '');
  try {
    const [before, ended, received] = [usedBy(rival), await ledger.counts(), await receivedBytes(redis)];
    const start = performance.now();
    const { path: where, headers, bodies, fresh } = requests;
    const load = { url: rival.url + where, connections, seconds, headers, bodies, fresh, dir: stage.dir };
    const { p50Ms, p99Ms, failed } = await drive(driver, load);
    const { after, atMs } = await untilEnded(ledger);
    const took = atMs - start;
    if (after.succeeded !== after.all) throw new Error(`of ${after.all} promises ${after.succeeded} succeeded`);
    const promises = after.all - ended.all;
    const cpu = Object.entries(usedBy(rival)).map(([role, ms]) => {
      return [role, ((ms - (before[role] ?? 0)) * 1_000) / promises] as const;
    });
    return {
      rps: (promises * 1_000) / took,
      p50_ms: p50Ms,
      p99_ms: p99Ms,
      failed,
      cpu_us: cpu.reduce((sum, [, us]) => sum + us, 0),
      ...Object.fromEntries(cpu.map(([role, us]) => [`${role}_cpu_us`, us])),
      queue_kb: ((await receivedBytes(redis)) - received) / promises / 1_000,
    };
  } finally {
    redis.disconnect();
    await ledger.close();
  }
}

/**
 * The counts after the last end, and the time of the last end. Requests whose clients ended with the load can still be on their way, so the
 * counts must stay the same for a while.
 */
async function untilEnded(ledger: Ledger): Promise<{ after: Awaited<ReturnType<Ledger['counts']>>; atMs: number }> {
  for (let last = -1; ; ) {
    await untilDrained(ledger);
    const [after, atMs] = [await ledger.counts(), performance.now()];
    if (after.all === last) return { after, atMs: atMs - SETTLED_MS };
    last = after.all;
    await delay(SETTLED_MS);
  }
}

/** Bytes that the queue Redis has received since its start. Nearly all of them are also in its append-only file. */
const receivedBytes = async (redis: Redis): Promise<number> =>
  Number(/^total_net_input_bytes:(\d+)/m.exec(await redis.info('stats'))?.[1]);

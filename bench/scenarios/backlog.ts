/** The scenario `backlog`: whether the submission of a prediction becomes slower with a million waiting predictions. */
import { Redis } from 'ioredis';
import type { Bench, Scenario } from '../bench.ts';
import { openLedger } from '../ledger.ts';
import { drive } from '../load/load.ts';
import { atMost, type RivalFigures, round } from '../results.ts';
import { predictionsPath } from '../rivals/model.ts';
import { medians } from '../rounds.ts';
import type { Rival } from '../stage.ts';
import { quantile } from '../statistics.ts';
import { submitted } from './accept.ts';

const few = 1_000;
const submits = 1_000;

export const backlog: Scenario = {
  name: 'backlog',
  about: 'the same submit while few and while very many predictions wait',
  requires: ['millrace'],
  run: async (bench) => {
    const rival = await bench.stage.start('millrace');
    await load(bench, rival, 2);
    const ledger = openLedger(rival.databaseUrl ?? '');
    const redis = new Redis(rival.redisUrl ?? '');
    try {
      while ((await ledger.open()) > 0);
      await rival.stopWorker();
      const empty = await usedMemory(redis);
      await submitOneByOne(bench, rival, few);
      const before = await rounds(bench, rival, 'few wait');
      let waiting = await ledger.open();
      for (; waiting < bench.waiting; waiting = await ledger.open()) {
        bench.say(`${waiting} of ${bench.waiting} wait`);
        await load(bench, rival, bench.seconds);
      }
      const full = await usedMemory(redis);
      const after = await rounds(bench, rival, `${waiting} wait`);
      const bodies = bench.inputs.pairs.map((pair) => JSON.stringify(pair).length);
      const inputBytes = bodies.reduce((sum, length) => sum + length, 0) / bodies.length;
      const perPrediction = (full - empty) / waiting;
      const growth = (after.p50_ms ?? Number.NaN) / (before.p50_ms ?? Number.NaN);
      return {
        name: 'backlog',
        rivals: {
          'few wait': before,
          'many wait': { ...after, waiting, redis_bytes_each: round(perPrediction), input_bytes: round(inputBytes) },
        },
        ratios: { 'many/few p50': round(growth) },
        goals: [
          atMost('p50 with many waiting ÷ with few', growth, 1.2),
          atMost('bytes of Redis a prediction beside its input', perPrediction - inputBytes, 700),
        ],
      };
    } finally {
      redis.disconnect();
      await ledger.close();
    }
  },
};

function load(bench: Bench, rival: Rival, seconds: number) {
  const { bodies } = bench.inputs;
  const url = rival.url + predictionsPath;
  return drive(bench.driver, { url, connections: 256, seconds, headers: submitted, bodies, dir: bench.stage.dir });
}

async function rounds(bench: Bench, rival: Rival, state: string): Promise<RivalFigures> {
  const all: RivalFigures[] = [];
  for (let n = 1; n <= bench.rounds; n++) {
    bench.say(`round ${n} of ${bench.rounds}, ${state}`);
    const ms = await submitOneByOne(bench, rival, submits);
    all.push({ p50_ms: quantile(ms, 0.5), p99_ms: quantile(ms, 0.99) });
  }
  return medians(all);
}

/** Milliseconds of each of `count` submits, sent one after the other. */
async function submitOneByOne({ inputs }: Bench, rival: Rival, count: number): Promise<number[]> {
  const took: number[] = [];
  for (let n = 0; n < count; n++) {
    const start = performance.now();
    const response = await fetch(rival.url + predictionsPath, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...submitted },
      body: inputs.bodies[n % inputs.bodies.length],
    });
    const text = await response.text();
    took.push(performance.now() - start);
    if (response.status !== 202) {
      const log = rival.parts.find(({ role }) => role === 'api')?.part.lastLines() ?? [];
      throw new Error(`${response.status} instead of 202: ${text.slice(0, 500)}\n${log.slice(-3).join('\n')}`);
    }
  }
  return took;
}

async function usedMemory(redis: Redis): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1]);
}

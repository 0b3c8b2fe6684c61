/** The scenario `hold10k`: whether 10,000 open requests all get their results. */
import type { Bench, Scenario } from '../bench.ts';
import { type CrowdResponse, gather, post } from '../load/crowd.ts';
import { prime } from '../prime.ts';
import { peakMemoryMib } from '../processes.ts';
import { atMost, type RivalFigures } from '../results.ts';
import { predictionsPath } from '../rivals/model.ts';
import { medians } from '../rounds.ts';
import type { Rival } from '../stage.ts';
import { quantile } from '../statistics.ts';
import { computed } from './queue.ts';

const clients = 10_000;
const timeoutMs = 60_000;
const checked = 200;

export const hold10k: Scenario = {
  name: 'hold10k',
  about: '10,000 clients at once, each waits for one computed result',
  run: async (bench) => {
    const names = bench.rivals(['echo', 'direct', 'job-per-request', 'millrace']);
    const rivals = await Promise.all(names.map((name) => bench.stage.start(name)));
    const rounds = new Map<string, RivalFigures[]>(names.map((name) => [name, []]));
    for (const rival of rivals) await prime(rival, bench.inputs.bodies.slice(-5_000));
    for (let n = 1; n <= bench.rounds; n++) {
      for (const rival of rivals) {
        bench.say(`round ${n} of ${bench.rounds}, ${rival.name}`);
        rounds.get(rival.name)?.push(await hold(bench, rival));
      }
    }
    const figures = Object.fromEntries([...rounds].map(([name, all]) => [name, medians(all)]));
    const { p99_ms, failed, api_memory_mib } = figures.millrace ?? {};
    return {
      name: 'hold10k',
      rivals: figures,
      ratios: {},
      goals: [
        atMost('failed', failed ?? Number.NaN, 0),
        atMost('p99, s', (p99_ms ?? Number.NaN) / 1_000, 2.4),
        atMost('API memory, MiB', api_memory_mib ?? Number.NaN, 400),
      ],
    };
  },
};

async function hold({ inputs }: Bench, rival: Rival): Promise<RivalFigures> {
  const headers = { ...computed, prefer: 'wait=60' };
  const url = rival.url + predictionsPath;
  const requests = inputs.bodies.slice(0, clients).map((body) => post(url, headers, body));
  const start = performance.now();
  const crowd = await gather('127.0.0.1', rival.port, clients);
  const connectMs = performance.now() - start;
  const sent = performance.now();
  const responses = await crowd.send(requests, timeoutMs);
  const seconds = (performance.now() - sent) / 1_000;
  crowd.close();
  const ms = responses.map((response) => response.ms);
  const good = responses.filter(({ status }) => status === 200);
  if (rival.name !== 'echo') await check(inputs, responses);
  const [bad] = responses.filter(({ status }) => status !== 200);
  if (bad)
    console.warn(`${rival.name}, first of ${responses.length - good.length}: ${bad.status} ${bad.body.slice(0, 300)}`);
  const api = rival.parts.find(({ role }) => role === 'api');
  return {
    rps: good.length / seconds,
    p50_ms: quantile(ms, 0.5),
    p99_ms: quantile(ms, 0.99),
    failed: responses.length - good.length,
    connect_ms: connectMs,
    api_memory_mib: api ? peakMemoryMib(api.part.pid) : undefined,
  };
}

async function check(inputs: Bench['inputs'], responses: readonly CrowdResponse[]): Promise<void> {
  for (let at = 0; at < responses.length; at += Math.floor(responses.length / checked)) {
    const { status, body } = responses[at] as CrowdResponse;
    const pair = inputs.pairs[at];
    if (status !== 200 || !pair) continue;
    const fault = await inputs.fault(pair, (JSON.parse(body) as { output: unknown }).output);
    if (fault !== undefined) throw new Error(`Wrong output: ${fault}`);
  }
}

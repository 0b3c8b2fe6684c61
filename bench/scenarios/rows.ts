/** The scenario `rows`: whether a request of many rows computes only the rows that are not cached. */
import type { Bench, Scenario } from '../bench.ts';
import { drive } from '../load/load.ts';
import { rowsComputed } from '../metrics.ts';
import { atLeast, type Goal, type RivalFigures, round } from '../results.ts';
import type { Pair } from '../rivals/model.ts';
import { predictionsPath } from '../rivals/model.ts';
import { medians } from '../rounds.ts';
import type { Rival } from '../stage.ts';
import { computed } from './queue.ts';

const rows = 10_000;

interface RowsResponse {
  ms: number;
  outputs: unknown[];
  cacheStatus: string;
}

export const rowsScenario: Scenario = {
  name: 'rows',
  about: 'one request of 10,000 rows, half of them cached, beside requests of one row',
  requires: ['millrace'],
  run: async (bench) => {
    const rival = await bench.stage.start('millrace');
    const [one, many]: [RivalFigures[], RivalFigures[]] = [[], []];
    for (let n = 1; n <= bench.rounds; n++) {
      bench.say(`round ${n} of ${bench.rounds}, requests of one row`);
      one.push(await oneRowRequests(bench, rival));
      bench.say(`round ${n} of ${bench.rounds}, a request of ${rows} rows`);
      many.push(await manyRows(bench, rival));
    }
    const figures = { 'a row a request': medians(one), '10,000 rows a request': medians(many) };
    const [single, batch] = [figures['a row a request'], figures['10,000 rows a request']];
    return {
      name: 'rows',
      rivals: figures,
      ratios: { 'rows/one-row': round((batch.rps ?? Number.NaN) / (single.rps ?? Number.NaN)) },
      goals: [
        exactly('rows computed of 5,000 unknown', batch.computed ?? Number.NaN, rows / 2),
        atLeast('rows/s ÷ one-row requests/s', (batch.rps ?? Number.NaN) / (single.rps ?? Number.NaN), 1),
      ],
    };
  },
};

const exactly = (name: string, measured: number, wanted: number): Goal => ({
  goal: `${name} = ${wanted}`,
  measured,
  met: measured === wanted,
});

async function oneRowRequests(bench: Bench, rival: Rival): Promise<RivalFigures> {
  const url = rival.url + predictionsPath;
  const { bodies } = bench.inputs;
  const load = { url, connections: 256, seconds: bench.seconds, headers: computed, bodies, dir: bench.stage.dir };
  const { requests, seconds, p50Ms, failed } = await drive(bench.driver, load);
  return { rps: requests / seconds, p50_ms: p50Ms, failed };
}

async function manyRows({ inputs }: Bench, rival: Rival): Promise<RivalFigures> {
  const all = inputs.pairs.slice(0, rows);
  // First the cache is empty, then every second row is cached.
  const purge = await fetch(`${rival.url}/v1/models/drug-interaction/cache`, { method: 'DELETE' });
  if (!purge.ok) throw new Error(`the purge returned ${purge.status}`);
  const half = await sendRows(
    rival,
    all.filter((_, index) => index % 2 === 0),
  );
  const before = await rowsComputed(rival);
  const whole = await sendRows(rival, all);
  const after = await rowsComputed(rival);
  for (let at = 0; at < rows; at += 97) {
    const fault = await inputs.fault(all[at] as Pair, whole.outputs[at]);
    if (fault !== undefined) throw new Error(`Wrong output in row ${at}: ${fault}`);
  }
  if (!whole.cacheStatus.includes('partial')) throw new Error(`Cache-Status is ${whole.cacheStatus}`);
  return {
    rps: (rows / whole.ms) * 1_000,
    p50_ms: whole.ms,
    computed: after === undefined || before === undefined ? undefined : after - before,
    all_unknown_rps: (rows / 2 / half.ms) * 1_000,
  };
}

async function sendRows(rival: Rival, inputs: readonly Pair[]): Promise<RowsResponse> {
  const body = JSON.stringify({ inputs });
  const start = performance.now();
  const response = await fetch(rival.url + predictionsPath, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'wait=60' },
    body,
  });
  const text = await response.text();
  const ms = performance.now() - start;
  if (response.status !== 200) throw new Error(`${response.status} for ${inputs.length} rows: ${text.slice(0, 500)}`);
  // An earlier version, as a rival, has the list in `output`.
  const { output, outputs = output } = JSON.parse(text) as { output: unknown[]; outputs?: unknown[] };
  if (outputs?.length !== inputs.length) throw new Error(`${inputs.length} rows, ${outputs?.length} outputs`);
  return { ms, outputs, cacheStatus: response.headers.get('cache-status') ?? '' };
}

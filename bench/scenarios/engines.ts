/** The scenario `engines`: whether two engines have nearly twice the rate of one engine. */
import { mkdtemp } from 'node:fs/promises';
import path from 'node:path';
import type { Bench, Scenario } from '../bench.ts';
import { drive } from '../load/load.ts';
import { atLeast, type RivalFigures, round } from '../results.ts';
import { medians } from '../rounds.ts';
import { writeSlowModel } from '../slow-model.ts';
import type { Rival } from '../stage.ts';
import { computed } from './queue.ts';

const wantedMs = 20;

export const engines: Scenario = {
  name: 'engines',
  about: 'a model of 20 ms a run, on one engine and on two',
  requires: ['millrace'],
  run: async (bench) => {
    const modelsDir = await mkdtemp(path.join(bench.stage.dir, 'models-'));
    const runMs = await writeSlowModel(modelsDir, wantedMs);
    const start = (engines: string) => bench.stage.start('millrace', { modelsDir, env: { ENGINES: engines } });
    const rivals = { 'one engine': await start('1'), 'two engines': await start('2') };
    const rounds: Record<keyof typeof rivals, RivalFigures[]> = { 'one engine': [], 'two engines': [] };
    for (const rival of Object.values(rivals)) await load(bench, rival, 1);
    for (let n = 1; n <= bench.rounds; n++) {
      for (const name of Object.keys(rivals) as (keyof typeof rivals)[]) {
        bench.say(`round ${n} of ${bench.rounds}, ${name}`);
        rounds[name].push({ ...(await load(bench, rivals[name], bench.seconds)), run_ms: runMs });
      }
    }
    const [one, two] = [medians(rounds['one engine']), medians(rounds['two engines'])];
    const ratio = (two.rps ?? Number.NaN) / (one.rps ?? Number.NaN);
    return {
      name: 'engines',
      rivals: { 'one engine': one, 'two engines': two },
      ratios: { 'two/one': round(ratio) },
      goals: [atLeast('two engines/one engine', ratio, 1.8)],
    };
  },
};

async function load(bench: Bench, rival: Rival, seconds: number): Promise<RivalFigures> {
  const url = `${rival.url}/v1/models/slow/predictions`;
  // Every input differs, because equal rows that wait together are run once.
  const bodies = Array.from({ length: 1_000 }, (_, n) =>
    JSON.stringify({ input: { x: [Array.from({ length: 64 }, () => n / 1_000)] } }),
  );
  const load = { url, connections: 16, seconds, headers: computed, bodies, dir: bench.stage.dir };
  const { requests, seconds: took, p50Ms, p99Ms, failed } = await drive(bench.driver, load);
  return { rps: requests / took, p50_ms: p50Ms, p99_ms: p99Ms, failed };
}

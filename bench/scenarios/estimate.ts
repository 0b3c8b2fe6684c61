/** The scenario `estimate`: the difference between the completion time in a 202 and the actual completion time. */
import { mkdtemp } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Bench, Scenario } from '../bench.ts';
import { atMost, type RivalFigures } from '../results.ts';
import { medians } from '../rounds.ts';
import { writeSlowModel } from '../slow-model.ts';
import type { Rival } from '../stage.ts';
import { quantile } from '../statistics.ts';

const runMs = 8;
const atOnce = 50;

interface PredictionBody {
  id: string;
  status: string;
  completed_at: string | null;
  queue?: { estimated_completion_at: string };
}

export const estimate: Scenario = {
  name: 'estimate',
  about: 'estimated and actual completion of a backlog of an 8 ms model, with some predictions of high priority',
  requires: ['millrace'],
  run: async (bench) => {
    const modelsDir = await mkdtemp(path.join(bench.stage.dir, 'models-'));
    await writeSlowModel(modelsDir, runMs);
    const rival = await bench.stage.start('millrace', { modelsDir });
    // The first estimates of an unmeasured model are guesses, so a first round without measurement comes before.
    await playRound(rival, 200);
    const rounds: { high: RivalFigures; normal: RivalFigures }[] = [];
    for (let n = 1; n <= bench.rounds; n++) {
      bench.say(`round ${n} of ${bench.rounds}`);
      rounds.push(await playRound(rival, backlogOf(bench)));
    }
    const [high, normal] = [medians(rounds.map((one) => one.high)), medians(rounds.map((one) => one.normal))];
    return {
      name: 'estimate',
      rivals: { high, normal },
      ratios: {},
      goals: [
        atMost('error of a high-priority prediction p95, s', high.error_p95_s ?? Number.NaN, 1),
        atMost(
          'error of a normal prediction p95 ÷ time of the backlog',
          (normal.error_p95_s ?? Number.NaN) / (normal.backlog_s ?? 1),
          0.25,
        ),
      ],
    };
  },
};

/** The number of predictions that take about as many seconds as a load. */
const backlogOf = ({ seconds }: Bench): number => Math.round((seconds * 1_000) / runMs);

let submittedCount = 0;

async function playRound(rival: Rival, count: number): Promise<{ high: RivalFigures; normal: RivalFigures }> {
  const startedAt = performance.now();
  const normal: PredictionBody[] = [];
  const high: PredictionBody[] = [];
  while (normal.length < count) {
    normal.push(
      ...(await Promise.all(
        Array.from({ length: Math.min(atOnce, count - normal.length) }, () => submit(rival, 'normal')),
      )),
    );
    high.push(await submit(rival, 'high'));
  }
  const errors = { high: await errorsOf(rival, high), normal: await errorsOf(rival, normal) };
  const backlogS = (performance.now() - startedAt) / 1_000;
  const figures = (all: number[]): RivalFigures => ({
    error_p50_s: quantile(all, 0.5),
    error_p95_s: quantile(all, 0.95),
    predictions: all.length,
    backlog_s: backlogS,
  });
  return { high: figures(errors.high), normal: figures(errors.normal) };
}

async function submit(rival: Rival, priority: string): Promise<PredictionBody> {
  submittedCount += 1;
  const response = await fetch(`${rival.url}/v1/models/slow/predictions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
    body: JSON.stringify({ input: { x: [Array.from({ length: 64 }, () => submittedCount / 1_000_000)] }, priority }),
  });
  if (response.status !== 202)
    throw new Error(`${response.status} instead of 202: ${(await response.text()).slice(0, 500)}`);
  return (await response.json()) as PredictionBody;
}

/** Seconds between the estimated and the actual completion of each prediction, as absolute values. */
async function errorsOf(rival: Rival, promised: readonly PredictionBody[]): Promise<number[]> {
  const errors: number[] = [];
  for (const { id, queue } of promised) {
    for (;;) {
      const now = (await (await fetch(`${rival.url}/v1/predictions/${id}?wait=30`)).json()) as PredictionBody;
      if (now.completed_at !== null) {
        errors.push(Math.abs(Date.parse(now.completed_at) - Date.parse(queue?.estimated_completion_at ?? '')) / 1_000);
        break;
      }
      await delay(50);
    }
  }
  return errors;
}

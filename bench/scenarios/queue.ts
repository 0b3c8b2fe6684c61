/** The scenario `queue`: the rate of results that are computed for 256 waiting clients. `wide` compares the rivals in the same way. */
import type { Bench, Scenario } from '../bench.ts';
import { pairRequests } from '../requests.ts';
import { atLeast, atMost, quotients, type RivalFigures } from '../results.ts';
import { runRounds } from '../rounds.ts';

/** Every request is computed: no result comes from the cache, is stored, or is shared with another request. */
export const computed = { prefer: 'wait=30', 'cache-control': 'no-store' } as const;

/**
 * Compares all rivals under 256 clients that wait for computed results. `modelsDir` names a model other than the
 * bundled model.
 */
export async function compareQueues(
  bench: Bench,
  modelsDir?: string,
): Promise<{ figures: Record<string, RivalFigures>; ratios: ReturnType<typeof quotients> }> {
  const names = bench.rivals(['echo', 'direct', 'job-per-request', 'before', 'millrace']);
  const rivals = await Promise.all(names.map((name) => bench.stage.start(name, modelsDir ? { modelsDir } : {})));
  const requests = pairRequests(bench.inputs, computed);
  const figures = await runRounds(bench, rivals, { connections: 256, requests, sample: 'beside' });
  const ratios = quotients(figures, 'rps', [
    ['millrace', 'direct'],
    ['millrace', 'before'],
    ['millrace', 'echo'],
    ['millrace', 'job-per-request'],
  ]);
  return { figures, ratios };
}

export const queue: Scenario = {
  name: 'queue',
  about: '256 clients wait for their results, all of them computed',
  run: async (bench) => {
    const { figures, ratios } = await compareQueues(bench);
    return {
      name: 'queue',
      rivals: figures,
      ratios,
      goals: [
        atLeast('millrace/direct', ratios['millrace/direct'] ?? Number.NaN, 2),
        atLeast('millrace/echo', ratios['millrace/echo'] ?? Number.NaN, 0.6),
        atLeast('millrace/job-per-request', ratios['millrace/job-per-request'] ?? Number.NaN, 3.5),
        atMost('worker event loop delay p99, ms', figures.millrace?.worker_loop_p99_ms ?? Number.NaN, 10),
      ],
    };
  },
};

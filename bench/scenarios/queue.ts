import type { Scenario } from '../bench.ts';
import { atLeast, atMost, quotients } from '../results.ts';
import { runRounds } from '../rounds.ts';

/** Every request is computed: nothing is read from the cache, stored in it, or attached to another's run. */
export const computed = { prefer: 'wait=30', 'cache-control': 'no-store' } as const;

export const queue: Scenario = {
  name: 'queue',
  about: '256 clients wait for their answers, every one computed',
  run: async (bench) => {
    const names = bench.rivals(['echo', 'direct', 'job-per-request', 'millrace']);
    const rivals = await Promise.all(names.map((name) => bench.stage.start(name)));
    const among = bench.questions.bodies.length;
    const figures = await runRounds(bench, rivals, { connections: 256, headers: computed, among, sample: 'beside' });
    const ratios = quotients(figures, 'rps', [
      ['millrace', 'direct'],
      ['millrace', 'echo'],
      ['millrace', 'job-per-request'],
    ]);
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

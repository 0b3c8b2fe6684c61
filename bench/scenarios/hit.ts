import type { Scenario } from '../bench.ts';
import { prime } from '../prime.ts';
import { pairRequests } from '../requests.ts';
import { atLeast, quotients } from '../results.ts';
import { runRounds } from '../rounds.ts';

const known = 1_000;

export const hit: Scenario = {
  name: 'hit',
  about: '64 clients request the same 1,000 cached pairs',
  run: async (bench) => {
    const names = bench.rivals(['echo', 'before', 'millrace', 'direct']);
    const rivals = await Promise.all(names.map((name) => bench.stage.start(name)));
    for (const rival of rivals) await prime(rival, bench.inputs.bodies.slice(0, known));
    const requests = pairRequests(bench.inputs, {}, known);
    const figures = await runRounds(bench, rivals, { connections: 64, requests, sample: 'beside' });
    const ratios = quotients(figures, 'rps', [
      ['millrace', 'echo'],
      ['millrace', 'direct'],
      ['millrace', 'before'],
    ]);
    return {
      name: 'hit',
      rivals: figures,
      ratios,
      goals: [atLeast('millrace/echo', ratios['millrace/echo'] ?? Number.NaN, 0.85)],
    };
  },
};

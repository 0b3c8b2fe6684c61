/** The scenario `lone`: the latency of a single client. No rows of other requests can join its micro-batches. */
import type { Scenario } from '../bench.ts';
import { pairRequests } from '../requests.ts';
import { atMost, quotients } from '../results.ts';
import { runRounds } from '../rounds.ts';
import { computed } from './queue.ts';

export const lone: Scenario = {
  name: 'lone',
  about: 'one client, one request at a time, all of them computed',
  run: async (bench) => {
    const names = bench.rivals(['echo', 'direct', 'job-per-request', 'before', 'millrace']);
    const rivals = await Promise.all(names.map((name) => bench.stage.start(name)));
    const requests = pairRequests(bench.inputs, computed);
    const figures = await runRounds(bench, rivals, { connections: 1, requests, sample: 'after' });
    const ratios = quotients(figures, 'p50_ms', [
      ['millrace', 'job-per-request'],
      ['millrace', 'before'],
    ]);
    return {
      name: 'lone',
      rivals: figures,
      ratios,
      goals: [atMost('p50 millrace/job-per-request', ratios['millrace/job-per-request'] ?? Number.NaN, 1.3)],
    };
  },
};

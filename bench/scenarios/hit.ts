/** The scenario `hit`: the rate of cached results, with and without an Idempotency-Key. */
import { randomUUID } from 'node:crypto';
import type { Scenario } from '../bench.ts';
import { prime } from '../prime.ts';
import { pairRequests } from '../requests.ts';
import { atLeast, quotients } from '../results.ts';
import { runLoads } from '../rounds.ts';

const known = 1_000;

export const hit: Scenario = {
  name: 'hit',
  about: '64 clients request the same 1,000 cached pairs; keyed: with an Idempotency-Key',
  run: async (bench) => {
    const names = bench.rivals(['echo', 'before', 'millrace', 'direct']);
    const rivals = await Promise.all(names.map((name) => bench.stage.start(name)));
    for (const rival of rivals) await prime(rival, bench.inputs.bodies.slice(0, known));
    const load = { connections: 64, sample: 'beside' } as const;
    const requests = pairRequests(bench.inputs, {}, known);
    const loads = rivals.map((rival) => ({ ...load, label: rival.name, rival, requests }));
    // A hit claims no key, so that one key for all requests costs the same as a new key for each request.
    const keyed = pairRequests(bench.inputs, { 'idempotency-key': randomUUID() }, known);
    const millrace = loads.filter(({ label }) => label === 'millrace');
    const figures = await runLoads(bench, [
      ...loads,
      ...millrace.map((one) => ({ ...one, label: 'keyed', requests: keyed })),
    ]);
    const ratios = quotients(figures, 'rps', [
      ['millrace', 'echo'],
      ['millrace', 'direct'],
      ['millrace', 'before'],
      ['keyed', 'millrace'],
    ]);
    return {
      name: 'hit',
      rivals: figures,
      ratios,
      goals: [
        atLeast('millrace/echo', ratios['millrace/echo'] ?? Number.NaN, 0.85),
        atLeast('keyed/millrace', ratios['keyed/millrace'] ?? Number.NaN, 0.95),
      ],
    };
  },
};

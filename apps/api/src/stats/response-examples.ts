/** Examples of the responses of the history and of the workers, for the OpenAPI document. The code that writes responses writes them. */
import { modelStatsJson, stepsJson, workerJson } from './render.ts';

const FROM_MS = Date.parse('2026-12-01T08:00:00.000Z');

const point = {
  step: 0,
  accepted: 1_204,
  succeeded: 1_190,
  failed: 3,
  canceled: 0,
  expired: 0,
  hits: 4_380,
  misses: 1_204,
  refused: 0,
  waiting: 12,
  oldestMs: 180,
  waitP50: 4.2,
  waitP95: 21.7,
  runP50: 1.9,
  runP95: 3.4,
  totalP50: 7.1,
  totalP95: 26.3,
};
export const steps = {
  data: stepsJson([point], { fromMs: FROM_MS, toMs: FROM_MS + 60_000, stepS: 60, points: 1 }, undefined),
  next: null,
  has_more: false,
};

export const modelStats = {
  data: [
    modelStatsJson(
      { model: 'drug-interaction', requests: 5_573, sums: point, steps: [[0, 5_573]] },
      { fromMs: FROM_MS, toMs: FROM_MS + 60_000, stepS: 60, points: 1 },
      undefined,
    ),
  ],
  next: null,
  has_more: false,
};

export const worker = workerJson({
  id: '5f0e2f6b9c1d4a37',
  draining: false,
  roles: ['inference', 'webhooks', 'recorder'],
  models: [{ name: 'drug-interaction', version: '1', providers: ['cpu'] }],
  engines: [{ model: 'drug-interaction', version: '1', provider: 'cpu', status: 'busy', memory_bytes: 214_958_080 }],
  providers: ['cpu'],
  memory_bytes: 341_000_192,
  held: 12,
  rows_per_s: 640.5,
  release: '0.1.0',
  host: 'worker-1',
  started_at: FROM_MS - 3_600_000,
  seenAt: FROM_MS,
  ageMs: 0,
});
export const workers = { data: [worker], next: null, has_more: false };

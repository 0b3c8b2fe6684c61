/** The JSON of the history and of the workers. */
import { type ListedWorker, STALE_MS } from '@millrace/shared/queue/worker-list';
import type { ModelStats } from '@millrace/shared/stats/model-stats';
import type { StatsPoint } from '@millrace/shared/stats/stats-table';
import type { PresentQueue } from './present-queues.ts';
import type { StepRange } from './stats-query.ts';

/** The values of a step without data. */
const NOTHING: Omit<StatsPoint, 'step'> = {
  accepted: 0,
  succeeded: 0,
  failed: 0,
  canceled: 0,
  expired: 0,
  hits: 0,
  misses: 0,
  refused: 0,
  waiting: null,
  oldestMs: null,
  waitP50: null,
  waitP95: null,
  runP50: null,
  runP95: null,
  totalP50: null,
  totalP95: null,
};

/** All steps of the range, including steps without data. The last step has the present queue, if given. */
export function stepsJson(
  points: readonly StatsPoint[],
  { fromMs, toMs, stepS, points: count }: StepRange,
  present: PresentQueue | undefined,
) {
  const byStep = new Map(points.map((point) => [point.step, point]));
  return Array.from({ length: count }, (_, step) => {
    const startMs = fromMs + step * stepS * 1_000;
    // The last step may be in progress.
    const seconds = Math.max(1, Math.min(stepS, (toMs - startMs) / 1_000));
    const values = { ...(byStep.get(step) ?? NOTHING), ...(step === count - 1 ? present : undefined) };
    return { start_at: new Date(startMs).toISOString(), values: valuesJson(values, seconds) };
  });
}

/** A model with its values over the whole range, with its present queue, if given, and with its requests in each step. */
export function modelStatsJson(
  { model, sums, steps }: ModelStats,
  { fromMs, toMs, stepS, points }: StepRange,
  present: PresentQueue | undefined,
) {
  const byStep = new Map(steps);
  const values = valuesJson({ ...sums, ...present }, Math.max(1, (toMs - fromMs) / 1_000));
  return {
    model,
    values,
    start_at: new Date(fromMs).toISOString(),
    step_s: stepS,
    requests: Array.from({ length: points }, (_, step) => byStep.get(step) ?? 0),
  };
}

function valuesJson(point: Omit<StatsPoint, 'step'>, seconds: number) {
  const { accepted, succeeded, failed, canceled, expired, hits, misses, refused } = point;
  const ended = succeeded + failed + canceled + expired;
  return {
    accepted,
    succeeded,
    failed,
    canceled,
    expired,
    hits,
    misses,
    refused,
    rate: rounded(ended / seconds),
    waiting: point.waiting,
    oldest_waiting_s: point.oldestMs === null ? null : rounded(point.oldestMs / 1_000),
    wait_p50_ms: roundedOrNull(point.waitP50),
    wait_p95_ms: roundedOrNull(point.waitP95),
    run_p50_ms: roundedOrNull(point.runP50),
    run_p95_ms: roundedOrNull(point.runP95),
    total_p50_ms: roundedOrNull(point.totalP50),
    total_p95_ms: roundedOrNull(point.totalP95),
    hit_share: shareOf(hits, hits + misses),
    error_share: shareOf(failed + expired, ended),
  };
}

const rounded = (number: number): number => Math.round(number * 1_000) / 1_000;
const roundedOrNull = (number: number | null): number | null => (number === null ? null : rounded(number));
const shareOf = (part: number, whole: number): number | null => (whole === 0 ? null : rounded(part / whole));

export function workerJson(worker: ListedWorker) {
  const { id, roles, models, engines, providers, held, rows_per_s, release, host } = worker;
  const status = worker.ageMs > STALE_MS ? 'stale' : worker.draining ? 'draining' : 'running';
  return {
    id,
    status,
    roles,
    // A worker of an earlier release reports no providers, and has only `cpu`.
    models: models.map(({ name, version, providers: own = ['cpu'] }) => ({ name, version, providers: own })),
    engines,
    providers,
    memory_bytes: worker.memory_bytes,
    held,
    rows_per_s,
    release,
    host,
    started_at: new Date(worker.started_at).toISOString(),
    seen_at: new Date(worker.seenAt).toISOString(),
  };
}

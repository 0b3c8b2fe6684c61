/** The time of a prediction in stages, from its timeline or else from its figures. */
import type { Prediction, TimelineStep } from './types.ts';

export interface Stage {
  name: string;
  kind: 'work' | 'wait' | 'lost' | 'sent';
  /** From the creation of the prediction, in milliseconds. */
  fromMs: number;
  tookMs: number;
}

/** The step that ends a stage, and the name of the stage. */
const STAGES: Readonly<Record<string, readonly [name: string, kind: Stage['kind']]>> = {
  queued: ['Accept', 'work'],
  taken: ['Wait in queue', 'wait'],
  batched: ['Form micro-batch', 'wait'],
  computed: ['Run', 'work'],
  recorded: ['Save to ledger', 'sent'],
};

export function stagesOf(prediction: Prediction): Stage[] {
  const steps = prediction.timeline ?? [];
  return steps.length > 1 ? fromTimeline(prediction, steps) : fromMetrics(prediction);
}

function fromTimeline({ created_at, metrics }: Prediction, steps: readonly TimelineStep[]): Stage[] {
  const start = Date.parse(created_at);
  const sorted = steps
    .filter(({ type }) => type !== 'delivered')
    .toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at));
  const stages: Stage[] = [];
  let from = Math.min(start, Date.parse(sorted[0]?.at ?? created_at));
  for (const step of sorted) {
    const to = Date.parse(step.at);
    const [name, kind] = STAGES[step.type] ?? [];
    // The times of the steps are whole milliseconds, and most runs are shorter.
    const tookMs = step.type === 'computed' && to === from ? (metrics.run_ms ?? 0) : to - from;
    if (name !== undefined && kind !== undefined) stages.push({ name, kind, fromMs: from - start, tookMs });
    from = to;
  }
  return stages;
}

function fromMetrics({ metrics, created_at, started_at, completed_at }: Prediction): Stage[] {
  const start = Date.parse(created_at);
  const total = metrics.total_ms ?? (completed_at === null ? null : Date.parse(completed_at) - start);
  const wait = metrics.wait_ms ?? (started_at === null ? null : Date.parse(started_at) - start);
  const stages: Stage[] = [];
  if (wait !== null) stages.push({ name: 'Wait in queue', kind: 'wait', fromMs: 0, tookMs: wait });
  if (metrics.run_ms !== null) stages.push({ name: 'Run', kind: 'work', fromMs: wait ?? 0, tookMs: metrics.run_ms });
  const done = (wait ?? 0) + (metrics.run_ms ?? 0);
  if (total !== null && wait !== null && total > done)
    stages.push({ name: 'Finish', kind: 'work', fromMs: done, tookMs: total - done });
  return stages;
}

/** The steps of the history: which steps a chart shows, and figures of steps. */
import type { Step, StepValues } from './operator-types.ts';

/** New numbers appear in the history within about ten seconds, so a younger step would look like a fall to zero. */
export const YOUNG_MS = 30_000;

export interface Steps {
  steps: Step[];
  stepS: number;
  /** The time of the server at which the steps were read. */
  nowMs: number;
}

/** The steps for a chart: without a step that has just begun. Its queue is the present queue, and stands in the step before. */
export function shownSteps({ steps, nowMs }: Steps): Step[] {
  const [before, last] = steps.slice(-2);
  if (before === undefined || last === undefined || nowMs - Date.parse(last.start_at) >= YOUNG_MS) return steps;
  const { waiting, oldest_waiting_s } = last.values;
  if (waiting === null) return steps.slice(0, -1);
  return [...steps.slice(0, -2), { ...before, values: { ...before.values, waiting, oldest_waiting_s } }];
}

/** The seconds of a step that have passed. */
export function passedS({ start_at }: Step, { stepS, nowMs }: Steps): number {
  return Math.min(stepS, Math.max(1, (nowMs - Date.parse(start_at)) / 1_000));
}

type Counts = 'accepted' | 'succeeded' | 'failed' | 'canceled' | 'expired' | 'hits' | 'misses' | 'refused';

export const sumOf = (steps: readonly Step[], ...names: readonly Counts[]): number =>
  steps.reduce((sum, { values }) => sum + names.reduce((part, name) => part + values[name], 0), 0);

/** The newest value that is known. */
export function latest<N extends keyof StepValues>(steps: readonly Step[], name: N): StepValues[N] | null {
  for (const { values } of steps.toReversed()) if (values[name] !== null) return values[name];
  return null;
}

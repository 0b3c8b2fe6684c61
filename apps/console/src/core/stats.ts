/** The history of predictions: the ranges of the charts, the steps of a range, and the figures of steps. */
import { call } from './api.ts';
import type { ModelStats, Step } from './operator-types.ts';
import { type Steps, YOUNG_MS } from './steps.ts';
import type { List } from './types.ts';

export interface ChartRange {
  /** On the button. */
  word: string;
  /** In a sentence. */
  name: string;
  spanMs: number;
  /** The step of a chart. */
  stepS: number;
  /** The step of the small chart of a model. */
  smallStepS: number;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

export const CHART_RANGES: Readonly<Record<string, ChartRange>> = {
  '1h': { word: '1 h', name: 'the last hour', spanMs: HOUR_MS, stepS: 60, smallStepS: 120 },
  '6h': { word: '6 h', name: 'the last 6 hours', spanMs: 6 * HOUR_MS, stepS: 300, smallStepS: 600 },
  '24h': { word: '24 h', name: 'the last 24 hours', spanMs: DAY_MS, stepS: 900, smallStepS: 3_600 },
  '7d': { word: '7 d', name: 'the last 7 days', spanMs: 7 * DAY_MS, stepS: 3_600, smallStepS: 21_600 },
  '30d': { word: '30 d', name: 'the last 30 days', spanMs: 30 * DAY_MS, stepS: 14_400, smallStepS: 86_400 },
};
export const FIRST_RANGE = '1h';

export const rangeOf = (key: string | null): ChartRange =>
  CHART_RANGES[key ?? FIRST_RANGE] ?? (CHART_RANGES[FIRST_RANGE] as ChartRange);

/** The clock of the browser is corrected where it differs by more than this from the clock of the server. */
const SKEW_MS = 5_000;

let skewMs = 0;
export const serverNow = (): number => Date.now() + skewMs;

export interface StepsRequest {
  spanMs: number;
  stepS: number;
  model?: string | undefined;
}

export async function loadSteps({ spanMs, stepS, model }: StepsRequest, signal: AbortSignal): Promise<Steps> {
  const from = new Date(serverNow() - spanMs).toISOString();
  const { body, headers } = await call<List<Step>>('/v1/stats', { query: { from, step: stepS, model }, signal });
  const date = Date.parse(headers.get('date') ?? '');
  const skew = Number.isNaN(date) ? 0 : date - Date.now();
  skewMs = Math.abs(skew) > SKEW_MS ? skew : 0;
  return { steps: body.data, stepS, nowMs: serverNow() };
}

/** The requests of each step for a small chart. The last step, which is in progress, counts as if its pace stayed. */
export function shownRequests({ start_at, step_s, requests }: ModelStats): number[] {
  const last = requests.at(-1) ?? 0;
  const passedMs = serverNow() - Date.parse(start_at) - (requests.length - 1) * step_s * 1_000;
  const before = requests.slice(0, -1);
  return passedMs < YOUNG_MS ? before : [...before, (last * step_s) / Math.min(step_s, passedMs / 1_000)];
}

/** The six charts of the overview with one crosshair. A click on a step shows its predictions. */
import { useMemo } from 'preact/hooks';
import { go, href } from '../../core/address.ts';
import { count, counted, number, rate as rateText } from '../../core/format.ts';
import type { StepValues, Worker } from '../../core/operator-types.ts';
import type { ChartRange } from '../../core/stats.ts';
import { passedS, type Steps, shownSteps, sumOf } from '../../core/steps.ts';
import {
  type Axis,
  type ChartData,
  type ChartEvent,
  chart,
  type Series,
  stepTime,
  useCrosshair,
} from '../../ui/chart.ts';
import { html, type Markup } from '../../ui/html.ts';

export interface ChartsProps {
  steps: Steps;
  range: ChartRange;
  model: string | undefined;
  workers: readonly Worker[] | undefined;
}

/** Events that the line below the charts names. */
const EVENTS_SHOWN = 3;

export function Charts({ steps: all, range, model, workers }: ChartsProps): Markup {
  const steps = useMemo(() => ({ ...all, steps: shownSteps(all) }), [all]);
  const stepMs = steps.stepS * 1_000;
  const times = useMemo(() => steps.steps.map(({ start_at }) => Date.parse(start_at)), [steps]);
  const data = useMemo(() => chartsOf(steps, range), [steps]);
  const events = useMemo(() => eventsOf(workers ?? [], times, stepMs), [workers, times]);
  const open = (index: number, status?: string) => {
    const at = times[index];
    if (at === undefined) return;
    // `from` is exclusive: a millisecond earlier is the first of the step.
    const [from, to] = [at - 1, at + stepMs].map((ms) => new Date(ms).toISOString());
    go(href('/predictions', { model, status, from, to }));
  };
  const { at, point, onKeyDown } = useCrosshair(times.length, open);
  const axis: Axis = { times, stepMs, events, at, point, open };
  const errors: Axis = { ...axis, open: (index) => open(index, 'failed,expired') };
  return html`<div class="charts block" id="charts" role="group" tabindex="0" aria-label="Charts. The arrow keys move the crosshair, and Enter shows the predictions of a step."
      onKeyDown=${onKeyDown}>
    ${data.map((one) => chart(one, one.title === 'Errors per minute' ? errors : axis))}
    ${foot({ events, times, stepMs, at, data })}
  </div>`;
}

type Values = (number | null)[];

const valuesOf = (steps: Steps, name: keyof StepValues): Values => steps.steps.map(({ values }) => values[name]);

function chartsOf(steps: Steps, range: ChartRange): ChartData[] {
  const { name } = range;
  const rate = valuesOf(steps, 'rate');
  const hits = steps.steps.map((step) => step.values.hits / passedS(step, steps));
  const waiting = valuesOf(steps, 'waiting');
  const perMinute = (status: 'failed' | 'expired') =>
    steps.steps.map(({ values }) => values[status] / (steps.stepS / 60));
  const bad = sumOf(steps.steps, 'failed', 'expired');
  return [
    {
      ...{ title: 'Rate', unit: ' /s', kind: 'bars', show: rateText, none: 'No prediction' },
      series: [series('ended', 'b1', rate), series('cache hits', 'b2', hits)],
      sentence: `Ended predictions and cache hits per second over ${name}: ${rateText(rate.at(-1) ?? 0)} and ${rateText(hits.at(-1) ?? 0)} now.`,
    },
    {
      ...{
        title: 'Queued',
        unit: '',
        kind: 'lines',
        fill: true,
        present: true,
        show: count,
        none: 'Only operators see the queue',
      },
      series: [series('predictions', 'c1', waiting)],
      sentence: `Queued predictions over ${name}: ${peak(waiting, count)}.`,
    },
    oldestChart(steps, name),
    timeChart('Queue time', steps, [valuesOf(steps, 'wait_p50_ms'), valuesOf(steps, 'wait_p95_ms')]),
    timeChart('Run time', steps, [valuesOf(steps, 'run_p50_ms'), valuesOf(steps, 'run_p95_ms')]),
    {
      ...{ title: 'Errors per minute', unit: '', kind: 'bars', show: number, none: 'No error' },
      series: [series('failed', 'b3', perMinute('failed')), series('expired', 'b4', perMinute('expired'))],
      sentence: `${counted(bad, 'prediction')} failed or expired in ${name}.`,
    },
  ];
}

const series = (name: string, mark: string, values: Values): Series => ({ name, mark, values });

function oldestChart(steps: Steps, name: string): ChartData {
  const ages = steps.steps.map(({ values: { waiting, oldest_waiting_s: age } }) =>
    age !== null ? age * 1_000 : waiting === 0 ? 0 : null,
  );
  const { values, unit, show } = scaled([ages]);
  return {
    ...{
      title: 'Oldest queued',
      unit,
      kind: 'lines',
      fill: true,
      present: true,
      show,
      none: 'Only operators see the queue',
    },
    series: [series('age', 'c1', values[0] ?? [])],
    sentence: `Age of the oldest queued prediction over ${name}: ${peak(values[0] ?? [], (value) => show(value) + unit)}.`,
  };
}

function timeChart(title: string, steps: Steps, spans: readonly Values[]): ChartData {
  const { values, unit, show } = scaled(spans);
  const [p50 = [], p95 = []] = values;
  const last = (list: Values) => list.findLast((value) => value !== null);
  const words = (list: Values) => (last(list) === undefined ? 'none' : show(last(list) ?? 0) + unit);
  return {
    ...{ title, unit, kind: 'lines', show, none: steps.steps.length === 0 ? '' : 'No prediction ran' },
    series: [series('p50', 'c2', p50), series('p95', 'c1', p95)],
    sentence: `${title}: p50 ${words(p50)}, p95 ${words(p95)}.`,
  };
}

const UNITS = [
  [10_000, 1, ' ms'],
  [600_000, 1_000, ' s'],
  [Number.POSITIVE_INFINITY, 60_000, ' min'],
] as const;

/** Milliseconds in the unit that fits the longest. */
function scaled(spans: readonly Values[]): { values: Values[]; unit: string; show: (value: number) => string } {
  const longest = Math.max(0, ...spans.flat().map((value) => value ?? 0));
  const [, size, unit] = UNITS.find(([below]) => longest < below) ?? UNITS[0];
  const values = spans.map((span) => span.map((value) => (value === null ? null : value / size)));
  return { values, unit, show: (value) => (value < 10 && value > 0 ? value.toFixed(1) : count(value)) };
}

function peak(values: Values, show: (value: number) => string): string {
  const known = values.filter((value) => value !== null);
  if (known.length === 0) return 'not known';
  const now = values.at(-1) ?? null;
  return `${now === null ? 'not known' : show(now)} now, at most ${show(Math.max(...known))}`;
}

function eventsOf(workers: readonly Worker[], times: readonly number[], stepMs: number): ChartEvent[] {
  const [first] = times;
  const last = times.at(-1);
  if (first === undefined || last === undefined) return [];
  const started = Map.groupBy(
    workers.filter(
      ({ started_at }) => Date.parse(started_at) >= first + stepMs && Date.parse(started_at) < last + stepMs,
    ),
    ({ started_at }) => Math.floor((Date.parse(started_at) - first) / stepMs),
  );
  return [...started].map(([index, list]) => ({
    index,
    text: list.length === 1 ? `Worker ${list[0]?.host} started.` : `${list.length} workers started.`,
  }));
}

interface FootProps {
  events: readonly ChartEvent[];
  times: readonly number[];
  stepMs: number;
  at: number | null;
  data: readonly ChartData[];
}

function foot({ events, times, stepMs, at, data }: FootProps): Markup {
  const shown = events.toSorted((a, b) => b.index - a.index).slice(0, EVENTS_SHOWN);
  return html`<p class="chart-foot">
    ${shown.map(({ index, text }) => html`<span><svg viewBox="0 0 8 6" aria-hidden="true"><path d="M0 6h8L4 0z" /></svg>${stepTime(times[index], stepMs)} ${text}</span>`)}
    <span>Click a step to see its predictions.</span><span class="push">Local time</span>
    <span class="sr" role="status">${at === null ? '' : spoken(data, at, stepTime(times[at], stepMs))}</span>
  </p>`;
}

/** The values under the crosshair, for readers of the screen. */
function spoken(data: readonly ChartData[], at: number, when: string): string {
  const parts = data.flatMap(({ title, series: all, show, unit }) =>
    all.map(({ name, values }) => {
      const value = values[at];
      return value === null || value === undefined ? '' : `${title} ${name} ${show(value)}${unit}`;
    }),
  );
  return `${when}: ${parts.filter((part) => part !== '').join(', ')}`;
}

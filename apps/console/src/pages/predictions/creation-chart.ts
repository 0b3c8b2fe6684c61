/** When the predictions of the list were created: a small chart above the list. A click on a step shows the predictions of the step. */
import { useRef } from 'preact/hooks';
import { go, href } from '../../core/address.ts';
import { get } from '../../core/api.ts';
import { useData } from '../../core/data.ts';
import { counted } from '../../core/format.ts';
import type { Step } from '../../core/operator-types.ts';
import { serverNow } from '../../core/stats.ts';
import type { List } from '../../core/types.ts';
import { stepTime, useCrosshair } from '../../ui/chart.ts';
import { h, html, type Markup } from '../../ui/html.ts';
import { ENDED } from '../../ui/status.ts';
import { metadataOf, RANGES } from './filters.ts';

const LIVE_MS = 15_000;
const STEPS_S = [60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200, 86_400, 604_800, 2_678_400];
const STEPS_MAX = 60;
/** A range of fewer steps is no chart. */
const STEPS_MIN = 3;
const HOUR_S = 3_600;
/** Postgres sums shorter steps for at most 48 hours. */
const SHORT_S = 48 * HOUR_S;
/** The range of a list without a range. */
const RANGE = '24h';
const HIGH = 44;

interface Range {
  from: string | undefined;
  to: string | undefined;
  spanMs: number;
  stepS: number;
}

/** Undefined where the filter's range is too short for a chart. */
function rangeOf(query: URLSearchParams): Range | undefined {
  const [given, to] = [query.get('from') ?? undefined, query.get('to') ?? undefined];
  const end = to === undefined ? serverNow() : Date.parse(to);
  const [, spanMs = 0] = RANGES[query.get('range') ?? RANGE] ?? RANGES[RANGE] ?? [];
  const from = given ?? (to === undefined ? undefined : new Date(end - spanMs).toISOString());
  const span = from === undefined ? spanMs : end - Date.parse(from);
  const fits = (stepS: number) =>
    span / stepS <= STEPS_MAX * 1_000 && (stepS % HOUR_S === 0 || span <= SHORT_S * 1_000);
  const stepS = STEPS_S.find(fits);
  if (stepS === undefined || span < STEPS_MIN * stepS * 1_000) return undefined;
  return { from, to, spanMs: span, stepS };
}

/** The statuses of the chart: of the filter, or none where the chart shows all created predictions. */
type Ended = 'succeeded' | 'failed' | 'canceled' | 'expired';
const BAD: readonly string[] = ['failed', 'expired'];

/** Undefined where the filter selects by a member that the history does not have. */
function endsOf(query: URLSearchParams): Ended[] | undefined {
  if (['error', 'id', 'version'].some((name) => query.has(name)) || metadataOf(query).length > 0) return undefined;
  const statuses = query.get('status')?.split(',') ?? [];
  return statuses.every((status): status is Ended => ENDED.has(status)) ? statuses : undefined;
}

interface Bar {
  all: number;
  /** Failed and expired predictions among them. */
  bad: number;
}

function barOf({ values }: Step, ends: readonly Ended[]): Bar {
  const sum = (names: readonly Ended[]) => names.reduce((total, name) => total + values[name], 0);
  const bad = sum(ends.length === 0 ? ['failed', 'expired'] : ends.filter((name) => BAD.includes(name)));
  // A prediction that failed in the step can be older than the step.
  return { all: ends.length === 0 ? Math.max(values.accepted, bad) : sum(ends), bad };
}

function wordsOf({ all, bad }: Bar, ends: readonly Ended[]): string {
  if (ends.length > 0) return `${counted(all, 'prediction')} ${ends.join(' or ')}`;
  return `${counted(all, 'prediction')} created${bad === 0 ? '' : `, ${bad.toLocaleString('en-US')} failed or expired`}`;
}

interface ChartProps {
  query: URLSearchParams;
  range: Range;
  ends: readonly Ended[];
}

function CreationChart({ query, range, ends }: ChartProps): Markup {
  const svg = useRef<SVGSVGElement>(null);
  const { from, to, spanMs, stepS } = range;
  const model = query.get('model');
  const { data } = useData(
    `creations ${model} ${from} ${to} ${spanMs} ${stepS}`,
    (signal) => {
      const begin = from ?? new Date(serverNow() - spanMs).toISOString();
      return get<List<Step>>('/v1/stats', { model, from: begin, to, step: stepS }, signal);
    },
    { everyMs: to === undefined ? LIVE_MS : null },
  );
  const steps = data?.data ?? [];
  const open = (index: number) => {
    const start = Date.parse(steps[index]?.start_at ?? '');
    // `from` is exclusive: a millisecond earlier is the first of the step.
    const [after, before] = [start - 1, start + stepS * 1_000].map((ms) => new Date(ms).toISOString());
    go(
      href('/predictions', {
        ...Object.fromEntries(query),
        range: undefined,
        cursor: undefined,
        from: after,
        to: before,
      }),
    );
  };
  const { at, point, onKeyDown } = useCrosshair(steps.length, open);
  const indexOf = ({ clientX }: MouseEvent): number => {
    const { left = 0, width = 1 } = svg.current?.getBoundingClientRect() ?? {};
    return Math.min(steps.length - 1, Math.max(0, Math.floor(((clientX - left) / width) * steps.length)));
  };
  const bars = steps.map((step) => barOf(step, ends));
  const sum = bars.reduce(({ all, bad }, bar) => ({ all: all + bar.all, bad: bad + bar.bad }), { all: 0, bad: 0 });
  const times = steps.map(({ start_at }) => Date.parse(start_at));
  const shown = at === null ? undefined : bars[at];
  return html`<div class="creations" role="group" tabindex="0" aria-label="Chart. The arrow keys move through the steps, and Enter shows the predictions of a step." onKeyDown=${onKeyDown}>
    <svg class="plot" role="img" aria-label=${`${wordsOf(sum, ends)} in the time of the chart.`} ref=${svg}
      onPointerMove=${(event: PointerEvent) => steps.length > 0 && point(indexOf(event))} onPointerLeave=${() => point(null)} onClick=${(event: MouseEvent) => steps.length > 0 && open(indexOf(event))}>
      ${barsMarkup(bars, at)}
    </svg>
    <p class="ticks">${shown === undefined || at === null ? ticksOf(times) : html`<span role="status"><b class="strong">${stepTime(times[at], stepS * 1_000)}</b> ${wordsOf(shown, ends)}</span>`}</p>
  </div>`;
}

function barsMarkup(bars: readonly Bar[], at: number | null): Markup {
  const top = Math.max(1, ...bars.map(({ all }) => all));
  const wide = 100 / Math.max(1, bars.length);
  const high = (value: number) => (value === 0 ? 0 : Math.max(1.5, (value / top) * HIGH));
  return bars.map(({ all, bad }, index) => {
    const rect = (mark: string, y: number, height: number) =>
      html`<rect class=${mark} x=${`${(index * wide).toFixed(3)}%`} width=${`${(wide * 0.92).toFixed(3)}%`} y=${y.toFixed(1)} height=${height.toFixed(1)} />`;
    return [
      index === at ? rect('at', 0, HIGH) : null,
      all > 0 ? rect('b2', HIGH - high(all), high(all)) : null,
      bad > 0 ? rect('b3', HIGH - high(all), high(bad)) : null,
    ];
  });
}

const TICKS = 4;
const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const day = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });

function ticksOf(times: readonly number[]): Markup {
  const last = times.length - 1;
  if (last < 1) return '\u00a0';
  const words = (times[last] ?? 0) - (times[0] ?? 0) > SHORT_S * 1_000 ? day : clock;
  return Array.from({ length: TICKS }, (_, tick) => {
    const at = times[Math.round((tick / (TICKS - 1)) * last)];
    return html`<span>${words.format(at)}</span>`;
  });
}

/** Null where the history has no counts for the filter. */
export function creationChart(query: URLSearchParams): Markup {
  const [range, ends] = [rangeOf(query), endsOf(query)];
  return range === undefined || ends === undefined ? null : h(CreationChart, { query, range, ends });
}

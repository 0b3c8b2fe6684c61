/** A chart over time: lines or stacked bars, from zero. All charts of a page share one crosshair, and the legend shows the values under it. */
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { exactTime } from '../core/format.ts';
import { h, html, type Markup } from './html.ts';

export interface Series {
  name: string;
  /** The class of the marks: `b1` to `b4` for bars, `c1` and `c2` for lines. */
  mark: string;
  /** Null where the step has no value. */
  values: readonly (number | null)[];
}

export interface ChartEvent {
  index: number;
  text: string;
}

export interface ChartData {
  title: string;
  /** Follows a value, so the unit begins with a space. */
  unit: string;
  kind: 'bars' | 'lines';
  /** Fills the area below a single line. */
  fill?: boolean;
  /** Whether the last step is the present. The legend then shows no older value when the last step has no value. */
  present?: boolean;
  series: readonly Series[];
  /** The chart in a sentence, for screen readers. */
  sentence: string;
  show: (value: number) => string;
  /** The text in place of the chart when no step has a value. */
  none: string;
}

/** The time axis and the crosshair, which all charts of a page share. */
export interface Axis {
  /** The beginning of each step, Unix ms. */
  times: readonly number[];
  stepMs: number;
  events: readonly ChartEvent[];
  /** The step under the crosshair. */
  at: number | null;
  point: (index: number | null) => void;
  open: (index: number) => void;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** Pixels below the chart, for the times. */
const FOOT = 20;
/** Pixels above the chart. */
const TOP = 4;
/** The mean width of a letter of a label, in pixels. */
const LETTER = 6.1;

interface Size {
  width: number;
  height: number;
}

interface Scale extends Size {
  left: number;
  top: number;
  high: number;
  x: (index: number) => number;
  y: (value: number) => number;
}

function Chart({ data, axis }: { data: ChartData; axis: Axis }): Markup {
  const svg = useRef<SVGSVGElement>(null);
  const size = useSize(svg);
  const scale = useMemo(() => (size === undefined ? undefined : scaleOf(data, axis.times.length, size)), [data, size]);
  // The picture without the crosshair stays the same node, so a move of the pointer draws only the crosshair.
  const picture = useMemo(
    () => (scale === undefined ? null : pictureOf(data, axis, scale)),
    [data, scale, axis.events],
  );
  const indexAt = (event: PointerEvent | MouseEvent): number | undefined => {
    if (scale === undefined || svg.current === null || axis.times.length === 0) return undefined;
    const share = (event.clientX - svg.current.getBoundingClientRect().left - scale.left) / (scale.width - scale.left);
    const last = axis.times.length - 1;
    const index = data.kind === 'bars' ? Math.floor(share * axis.times.length) : Math.round(share * last);
    return Math.min(last, Math.max(0, index));
  };
  const onMove = (event: PointerEvent) => axis.point(indexAt(event) ?? null);
  const onClick = (event: MouseEvent) => {
    const index = indexAt(event);
    if (index !== undefined) axis.open(index);
  };
  const isEmpty = data.series.every(({ values }) => values.every((value) => value === null));
  return html`<figure class="chart" aria-label=${data.title}>
    <div class="chart-head"><h2>${data.title}</h2><span class="at">${axis.at === null ? '' : stepTime(axis.times[axis.at], axis.stepMs)}</span></div>
    <dl class="legend">${data.series.map((series) => legend(series, data, axis.at))}</dl>
    <svg class="plot" role="img" aria-label=${data.sentence} ref=${svg} onPointerMove=${onMove} onPointerLeave=${() => axis.point(null)} onClick=${onClick}>
      ${picture}
      ${scale === undefined || isEmpty ? null : crosshair(data, axis.at, scale)}
      ${scale !== undefined && isEmpty ? html`<text x=${scale.left + 8} y=${scale.height / 2}>${data.none}</text>` : null}
    </svg>
  </figure>`;
}

export const chart = (data: ChartData, axis: Axis): Markup => h(Chart, { data, axis });

function useSize(svg: { current: SVGSVGElement | null }): Size | undefined {
  const [size, setSize] = useState<Size>();
  useLayoutEffect(() => {
    const element = svg.current;
    if (element === null) return;
    const measure = () => setSize({ width: element.clientWidth, height: element.clientHeight });
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return size;
}

function legend({ name, mark, values }: Series, data: ChartData, at: number | null): Markup {
  const last = data.present ? values.at(-1) : values.findLast((known) => known !== null);
  const value = at === null ? last : values[at];
  const isBar = mark.startsWith('b');
  return html`<div><dt><svg viewBox="0 0 10 10" aria-hidden="true">${isBar ? html`<rect class=${mark} x="0" y="1" width="8" height="8" rx="1.5" />` : html`<path class=${mark} d="M0 5h10" />`}</svg>${name}</dt>
    <dd>${value === null || value === undefined ? html`<span class="zero">–</span>` : html`${data.show(value)}<small>${data.unit}</small>`}</dd></div>`;
}

function scaleOf(data: ChartData, length: number, { width, height }: Size): Scale {
  const high = height - FOOT - TOP;
  const top = niceTop(highest(data, length));
  const left = Math.max(54, Math.ceil(Math.max(label(top, data.unit).length, label(top / 2, '').length) * LETTER) + 6);
  const bars = data.kind === 'bars';
  const wide = width - left;
  const x = (index: number) =>
    bars ? left + ((index + 0.5) / length) * wide : left + (index / Math.max(1, length - 1)) * wide;
  return { width, height, left, top, high, x, y: (value) => TOP + high - (value / top) * high };
}

function highest({ kind, series }: ChartData, length: number): number {
  const at = (index: number) => series.map(({ values }) => values[index] ?? 0);
  const tops = Array.from({ length }, (_, index) =>
    kind === 'bars' ? at(index).reduce((sum, value) => sum + value, 0) : Math.max(...at(index)),
  );
  return Math.max(0, ...tops);
}

/** The next round number, whose half is round too. */
function niceTop(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((step) => step >= value) ?? value;
}

const label = (value: number, unit: string): string =>
  `${Number(value.toPrecision(3)).toLocaleString('en-US')}${unit.replace(' ', '\u2009')}`;

function pictureOf(data: ChartData, { times, stepMs, events }: Axis, scale: Scale): Markup {
  return html`<g>${grid(data, scale)}${ticks(times, stepMs, scale)}${data.kind === 'bars' ? bars(data, times.length, scale) : lines(data, scale)}${events.map((event) => eventMark(event, scale))}</g>`;
}

function grid({ unit }: ChartData, { left, width, top, y }: Scale): Markup {
  return [0, 0.5, 1].map((part) => {
    const line = Math.round(y(top * part)) + 0.5;
    const down = part === 1 ? 7 : part === 0 ? 0 : 4;
    return html`<line class="grid" x1=${left} x2=${width} y1=${line} y2=${line} /><text x=${left - 6} y=${line + down} text-anchor="end">${label(top * part, part === 1 ? unit : '')}</text>`;
  });
}

function ticks(times: readonly number[], stepMs: number, { left, width, height, x }: Scale): Markup {
  const last = times.length - 1;
  if (last < 1) return null;
  const amount = width < 380 ? 3 : 5;
  const words = tickWords(last * stepMs);
  return Array.from({ length: amount }, (_, tick) => {
    const index = Math.round((tick / (amount - 1)) * last);
    const [at, anchor] = tick === 0 ? [left, 'start'] : tick === amount - 1 ? [width, 'end'] : [x(index), 'middle'];
    return html`<text x=${at} y=${height - 2} text-anchor=${anchor}>${words.format(times[index])}</text>`;
  });
}

function tickWords(spanMs: number): Intl.DateTimeFormat {
  if (spanMs > 10 * DAY_MS) return new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
  if (spanMs > 2 * DAY_MS) return new Intl.DateTimeFormat(undefined, { weekday: 'short', day: 'numeric' });
  return new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
}

function bars({ series }: ChartData, length: number, { left, width, x, y }: Scale): Markup {
  const gap = length > 120 ? 0.6 : 1.5;
  const wide = Math.max(1, (width - left) / length - gap);
  return Array.from({ length }, (_, index) => {
    let from = 0;
    return series.map(({ mark, values }) => {
      const value = values[index] ?? 0;
      if (value <= 0) return null;
      const bottom = y(from);
      from += value;
      return html`<rect class=${mark} x=${(x(index) - wide / 2).toFixed(2)} width=${wide.toFixed(2)} y=${y(from).toFixed(2)} height=${Math.max(0.75, bottom - y(from)).toFixed(2)} />`;
    });
  });
}

/** A line has a gap where a step has no value. A value between gaps is a point. */
function lines({ series, fill = false }: ChartData, { x, y }: Scale): Markup {
  return series.map(({ mark, values }) =>
    runsOf(values).map((run) => {
      const [first = 0] = run;
      const last = run.at(-1) ?? first;
      if (run.length === 1)
        return html`<circle class=${mark.replace('c', 'd')} cx=${x(first)} cy=${y(values[first] ?? 0)} r="2.5" />`;
      const path = run
        .map((index, at) => `${at === 0 ? 'M' : 'L'}${x(index).toFixed(1)} ${y(values[index] ?? 0).toFixed(1)}`)
        .join('');
      const area = fill ? html`<path class="f1" d=${`${path}L${x(last)} ${y(0)}L${x(first)} ${y(0)}Z`} />` : null;
      return html`${area}<path class=${mark} d=${path} />`;
    }),
  );
}

function runsOf(values: readonly (number | null)[]): number[][] {
  const runs: number[][] = [];
  for (const [index, value] of values.entries()) {
    if (value === null) continue;
    const run = runs.at(-1);
    if (run !== undefined && run.at(-1) === index - 1) run.push(index);
    else runs.push([index]);
  }
  return runs;
}

function eventMark({ index, text }: ChartEvent, { x, high }: Scale): Markup {
  const at = Math.round(x(index)) + 0.5;
  return html`<g><title>${text}</title><line class="event" x1=${at} x2=${at} y1=${TOP} y2=${TOP + high} /><path class="event-mark" d=${`M${at - 4} ${TOP + high + 7}h8l-4-6z`} /></g>`;
}

function crosshair({ kind, series }: ChartData, at: number | null, { x, y, high }: Scale): Markup {
  if (at === null) return null;
  const line = Math.round(x(at)) + 0.5;
  const dots =
    kind === 'bars'
      ? null
      : series.map(({ mark, values }) => {
          const value = values[at];
          return value === null || value === undefined
            ? null
            : html`<circle class=${mark.replace('c', 'd')} cx=${x(at)} cy=${y(value)} r="3.5" />`;
        });
  return html`<g><line class="cross" x1=${line} x2=${line} y1=${TOP} y2=${TOP + high} />${dots}</g>`;
}

const minute = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const dayMinute = new Intl.DateTimeFormat(undefined, {
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
  hourCycle: 'h23',
});

/** `15:28`, or `26 Nov, 15:00 to 19:00` for a long step. */
export function stepTime(at: number | undefined, stepMs: number): string {
  if (at === undefined) return '';
  if (stepMs < HOUR_MS) return exactTime(new Date(at)).slice(0, -3);
  return `${dayMinute.format(at)} to ${minute.format(at + stepMs)}`;
}

/** The step under the crosshair of all charts, which the pointer or the arrow keys move. */
export function useCrosshair(length: number, open: (index: number) => void) {
  const [at, setAt] = useState<number | null>(null);
  useEffect(() => {
    if (at !== null && at >= length) setAt(null);
  }, [length]);
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step !== undefined && length > 0) {
      event.preventDefault();
      setAt((now) => Math.min(length - 1, Math.max(0, (now ?? length) + (now === null && step > 0 ? -1 : step))));
    } else if (event.key === 'Enter' && at !== null) open(at);
    else if (event.key === 'Escape') setAt(null);
  };
  return { at, point: setAt, onKeyDown };
}

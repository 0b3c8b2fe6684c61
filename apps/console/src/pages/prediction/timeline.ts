/** The life of a prediction on one axis of time: acceptance, wait and run of each attempt, and the deliveries. */
import { duration } from '../../core/format.ts';
import { type Stage, stagesOf } from '../../core/stages.ts';
import type { Delivery, Prediction } from '../../core/types.ts';
import { html, type Markup } from '../../ui/html.ts';

/** A shorter bar would not be seen, in percent. */
const WIDTH_MIN = 0.35;

interface Row extends Stage {
  note: string;
}

export function timelineSheet(prediction: Prediction, deliveries: readonly Delivery[]): Markup {
  const rows = [...stageRows(prediction), ...deliveries.flatMap((delivery) => deliveryRow(prediction, delivery))];
  if (rows.length === 0) return null;
  const end = Math.max(...rows.map(({ fromMs, tookMs }) => fromMs + tookMs), 1);
  const ticks = ticksOf(end);
  const legend = (kind: string, word: string) =>
    rows.some((row) => row.kind === kind)
      ? html`<span class="key"><svg viewBox="0 0 10 8" aria-hidden="true"><rect class=${`k-${kind}`} width="10" height="8" rx="1.5" /></svg>${word}</span>`
      : null;
  return html`<section class="sheet" aria-labelledby="timeline-h">
    <div class="sheet-head"><h2 id="timeline-h">Timeline</h2><span class="push line line-wrap">${legend('work', 'processing')}${legend('wait', 'waiting')}${legend('lost', 'failed')}${legend('sent', 'recorded, delivered')}</span></div>
    <div class="trace">
      <div class="trace-axis" aria-hidden="true"><span>Step</span><svg>${ticks.map((tick, index) => html`<text x=${`${(tick / end) * 100}%`} y="12" text-anchor=${index === 0 ? 'start' : 'middle'}>${duration(tick)}</text>`)}</svg><span class="num">Duration</span></div>
      <ol>${rows.map((row) => rowMarkup(row, end, ticks))}</ol>
    </div>
  </section>`;
}

function stageRows(prediction: Prediction): Row[] {
  const rows: Row[] = stagesOf(prediction).map((stage) => ({ ...stage, note: '' }));
  const steps = prediction.timeline ?? [];
  const taken = steps.filter(({ type }) => type === 'taken');
  let attempt = 0;
  return rows.map((row) => {
    if (row.name !== 'Wait in queue') return row;
    const step = taken[attempt];
    attempt += 1;
    const worker = step?.worker_id ? `worker ${step.worker_id.slice(0, 8)}` : '';
    return { ...row, note: taken.length > 1 ? `attempt ${attempt}${worker === '' ? '' : `, ${worker}`}` : worker };
  });
}

function deliveryRow({ created_at }: Prediction, { url, attempts, status }: Delivery): Row[] {
  const start = Date.parse(created_at);
  return attempts.slice(-3).map((attempt) => ({
    name: URL.canParse(url) ? new URL(url).host : url,
    note: `${attempt.http_status ?? attempt.error?.code ?? status}`,
    kind: attempt.error === null ? 'sent' : 'lost',
    fromMs: Math.max(0, Date.parse(attempt.started_at) - start),
    tookMs: attempt.latency_ms ?? 0,
  }));
}

/** About six round steps of the axis. */
function ticksOf(end: number): number[] {
  const rough = end / 6;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? rough;
  return Array.from({ length: Math.floor((end * 0.97) / step) + 1 }, (_, index) => index * step);
}

function rowMarkup(row: Row, end: number, ticks: readonly number[]): Markup {
  const width = Math.max(WIDTH_MIN, (row.tookMs / end) * 100);
  const x = Math.min(100 - width, (row.fromMs / end) * 100);
  const lines = ticks.map(
    (tick) =>
      html`<line class="grid" x1=${`${(tick / end) * 100}%`} x2=${`${(tick / end) * 100}%`} y1="0" y2="100%" />`,
  );
  return html`<li><div class="name" title=${row.note === '' ? row.name : `${row.name}, ${row.note}`}>${row.name}<span>${row.note}</span></div>
    <svg aria-hidden="true">${lines}<rect class=${row.kind} x=${`${x}%`} y="9" width=${`${width}%`} height="8" rx="1.5" /></svg>
    <div class="num second">${duration(row.tookMs)}</div></li>`;
}

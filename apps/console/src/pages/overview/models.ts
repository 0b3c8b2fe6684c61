/** The models with their history: the busiest first. */
import { href } from '../../core/address.ts';
import { count, counted, millis, percent, rate as rateText } from '../../core/format.ts';
import type { ModelStats, StepValues } from '../../core/operator-types.ts';
import { type ChartRange, shownRequests } from '../../core/stats.ts';
import type { Model } from '../../core/types.ts';
import { html, type Markup } from '../../ui/html.ts';
import { shareBar, spark } from '../../ui/spark.ts';
import { statusMark } from '../../ui/status.ts';
import type { ModelRow, ModelsData } from './data.ts';

/** Ended predictions and hits. */
const requestsOf = ({ values }: ModelStats): number =>
  values.succeeded + values.failed + values.canceled + values.expired + values.hits;

export function modelsSheet({ rows, more }: ModelsData, range: ChartRange): Markup {
  const active = rows.filter(({ stats }) => requestsOf(stats) > 0).length;
  return html`<section class="sheet" aria-labelledby="models-h">
    <div class="sheet-head"><h2 id="models-h">Models</h2><p>${activeText({ active, shown: rows.length, more, range })}</p><a class="push small" href=${href('/models')}>All models</a></div>
    ${rows.length === 0 ? html`<p class="sheet-body quiet">No model has a version.</p>` : table(rows, range)}
  </section>`;
}

interface ActiveParams {
  active: number;
  shown: number;
  more: boolean;
  range: ChartRange;
}

function activeText({ active, shown, more, range }: ActiveParams): string {
  if (!more) return `${active} of ${counted(shown, 'model')} active in ${range.name}`;
  if (active === shown) return `The ${counted(shown, 'model')} with the most requests in ${range.name}`;
  return `${counted(active, 'model')} active in ${range.name}`;
}

const table = (rows: readonly ModelRow[], range: ChartRange): Markup =>
  html`<div class="table flush cards"><table aria-label="Models by requests">
    <colgroup><col /><col class="o1" width="132" /><col width="92" /><col width="84" /><col class="o1" width="108" /><col class="o2" width="108" /><col class="o2" width="168" /><col class="o2" width="84" /><col class="o1" width="120" /></colgroup>
    <thead><tr><th scope="col">Model</th><th scope="col" class="o1"><span class="sr">Requests in ${range.name}</span></th><th scope="col" class="num">Rate, /s</th><th scope="col" class="num">Queued</th>
      <th scope="col" class="num o1">Queue p95, ms</th><th scope="col" class="num o2">Run p95, ms</th><th scope="col" class="o2">Cached</th><th scope="col" class="num o2">Errors</th><th scope="col" class="o1">Production</th></tr></thead>
    <tbody>${rows.map(row)}</tbody>
  </table></div>`;

function row({ stats, model }: ModelRow): Markup {
  const { values, requests, step_s } = stats;
  const seconds = requests.length * step_s;
  const rate = seconds === 0 ? 0 : requestsOf(stats) / seconds;
  const errors = values.failed + values.expired;
  const name = stats.model;
  const path = href(`/models/${encodeURIComponent(name)}`);
  return html`<tr key=${name}>
    <td class="lead cut">${model === undefined ? html`<span title=${name}>${name}</span>` : html`<a class="row-link" href=${path} title=${name}>${name}</a>`}</td>
    <td class="o1">${spark(shownRequests(stats))}</td>
    <td class="num end" data-unit="/s">${zero(rate, rateText)}</td>
    <td class="num below2" data-unit="queued">${values.waiting === null ? html`<span class="zero">–</span>` : zero(values.waiting, count)}</td>
    <td class="num o1">${ms(values.wait_p95_ms)}</td>
    <td class="num o2">${ms(values.run_p95_ms)}</td>
    <td class="o2">${cached(values)}</td>
    <td class=${`num o2 ${errors > 0 ? 'fail' : ''}`}>${errors === 0 ? zero(0, count) : html`<a class="fail" href=${href('/predictions', { model: name, status: 'failed,expired' })}>${count(errors)}</a>`}</td>
    <td class="o1 below">${model === undefined ? html`<span class="quiet">removed</span>` : production(model)}</td>
  </tr>`;
}

const zero = (value: number, show: (value: number) => string): Markup =>
  value === 0 ? html`<span class="zero">0</span>` : show(value);
const ms = (value: number | null): Markup => (value === null ? html`<span class="zero">–</span>` : millis(value));

function cached({ hit_share: share }: StepValues): Markup {
  if (share === null) return html`<span class="zero">–</span>`;
  return html`<div class="with-bar">${shareBar(share, 'hit')}<span class=${`num nowrap${share === 0 ? ' zero' : ''}`}>${percent(share)} %</span></div>`;
}

function production({ aliases, default_version, version_counts }: Model): Markup {
  if (default_version === null) return statusMark('failed', html` <span class="sr">to serve</span>`);
  const failed = version_counts.failed ?? 0;
  const text = aliases.production === undefined ? `version ${default_version}` : `→ ${aliases.production}`;
  return html`<span class="second">${text}</span>${failed > 0 ? html` <span class="status failed small" title=${`${counted(failed, 'version')} failed to load`}>${failed} failed</span>` : null}`;
}

/** The models with their history: the busiest first. */
import { href } from '../../core/address.ts';
import { count, counted, millis, percent, rate as rateText } from '../../core/format.ts';
import { type ChartRange, latest, passedS, type Steps, shownSteps, sumOf } from '../../core/stats.ts';
import { html, type Markup } from '../../ui/html.ts';
import { shareBar, spark } from '../../ui/spark.ts';
import { statusMark } from '../../ui/status.ts';
import type { ModelSteps, ModelsData } from './data.ts';

const requestsOf = ({ steps }: Steps): number => sumOf(steps, 'succeeded', 'failed', 'canceled', 'expired', 'hits');

export function modelsSheet({ models, more }: ModelsData, range: ChartRange): Markup {
  const sorted = models.toSorted((a, b) => requestsOf(b.steps) - requestsOf(a.steps));
  const active = sorted.filter(({ steps }) => requestsOf(steps) > 0).length;
  const all = more ? `the first ${counted(models.length, 'model')}` : counted(models.length, 'model');
  return html`<section class="sheet" aria-labelledby="models-h">
    <div class="sheet-head"><h2 id="models-h">Models</h2><p>${active} of ${all} active in ${range.name}</p><a class="push small" href=${href('/models')}>All models</a></div>
    ${models.length === 0 ? html`<p class="sheet-body quiet">No model has a version.</p>` : table(sorted, range)}
  </section>`;
}

const table = (models: readonly ModelSteps[], range: ChartRange): Markup =>
  html`<div class="table flush cards"><table aria-label="Models by requests">
    <colgroup><col /><col class="o1" width="132" /><col width="92" /><col width="84" /><col class="o1" width="108" /><col class="o2" width="108" /><col class="o2" width="168" /><col class="o2" width="84" /><col class="o1" width="120" /></colgroup>
    <thead><tr><th scope="col">Model</th><th scope="col" class="o1"><span class="sr">Requests in ${range.name}</span></th><th scope="col" class="num">Rate, /s</th><th scope="col" class="num">Queued</th>
      <th scope="col" class="num o1">Queue p95, ms</th><th scope="col" class="num o2">Run p95, ms</th><th scope="col" class="o2">Cached</th><th scope="col" class="num o2">Errors</th><th scope="col" class="o1">Production</th></tr></thead>
    <tbody>${models.map(row)}</tbody>
  </table></div>`;

function row({ model, steps }: ModelSteps): Markup {
  const all = steps.steps;
  const seconds = all.reduce((sum, step) => sum + passedS(step, steps), 0);
  const rate = seconds === 0 ? 0 : requestsOf(steps) / seconds;
  const waiting = latest(all, 'waiting');
  const errors = sumOf(all, 'failed', 'expired');
  const values = shownSteps(steps).map(
    (step) => (step.values.hits + step.values.rate * passedS(step, steps)) / passedS(step, steps),
  );
  const path = href(`/models/${encodeURIComponent(model.name)}`);
  return html`<tr key=${model.name}>
    <td class="lead cut"><a class="row-link" href=${path} title=${model.name}>${model.name}</a></td>
    <td class="o1">${spark(values)}</td>
    <td class="num end" data-unit="/s">${zero(rate, rateText)}</td>
    <td class="num below2" data-unit="queued">${waiting === null ? html`<span class="zero">–</span>` : zero(waiting, count)}</td>
    <td class="num o1">${ms(latest(all, 'wait_p95_ms'))}</td>
    <td class="num o2">${ms(latest(all, 'run_p95_ms'))}</td>
    <td class="o2">${cached(all)}</td>
    <td class=${`num o2 ${errors > 0 ? 'fail' : ''}`}>${errors === 0 ? zero(0, count) : html`<a class="fail" href=${href('/predictions', { model: model.name, status: 'failed,expired' })}>${count(errors)}</a>`}</td>
    <td class="o1 below">${production(model)}</td>
  </tr>`;
}

const zero = (value: number, show: (value: number) => string): Markup =>
  value === 0 ? html`<span class="zero">0</span>` : show(value);
const ms = (value: number | null): Markup => (value === null ? html`<span class="zero">–</span>` : millis(value));

function cached(all: Steps['steps']): Markup {
  const requests = sumOf(all, 'hits', 'misses');
  if (requests === 0) return html`<span class="zero">–</span>`;
  const share = sumOf(all, 'hits') / requests;
  return html`<div class="with-bar">${shareBar(share, 'hit')}<span class=${`num nowrap${share === 0 ? ' zero' : ''}`}>${percent(share)} %</span></div>`;
}

function production({ aliases, default_version, version_counts }: ModelSteps['model']): Markup {
  if (default_version === null) return statusMark('failed', html` <span class="sr">to serve</span>`);
  const failed = version_counts.failed ?? 0;
  const text = aliases.production === undefined ? `version ${default_version}` : `→ ${aliases.production}`;
  return html`<span class="second">${text}</span>${failed > 0 ? html` <span class="status failed small" title=${`${counted(failed, 'version')} failed to load`}>${failed} failed</span>` : null}`;
}

/** The list of predictions, with all filters in the address, and the actions on all predictions of the filter. */
import { useState } from 'preact/hooks';
import { href } from '../../core/address.ts';
import { get } from '../../core/api.ts';
import { useData } from '../../core/data.ts';
import { counted, millis, shortId } from '../../core/format.ts';
import type { PageProps } from '../../core/page-props.ts';
import { useShortcuts } from '../../core/shortcuts.ts';
import { resultOf, subjectOf } from '../../core/summary.ts';
import type { List, Prediction } from '../../core/types.ts';
import { html, type Markup } from '../../ui/html.ts';
import { page, pageHead } from '../../ui/page.ts';
import { pager } from '../../ui/pager.ts';
import { emptyState, problemState, skeleton, staleNotice } from '../../ui/states.ts';
import { statusMark } from '../../ui/status.ts';
import { time } from '../../ui/time.ts';
import { bulkActions } from './bulk-actions.ts';
import { creationChart } from './creation-chart.ts';
import { filterBar } from './filter-bar.ts';
import { apiQuery, describeFilters } from './filters.ts';

const LIMIT = 25;
const LIVE_MS = 5_000;

export default function PredictionsPage({ query }: PageProps): Markup {
  const cursor = query.get('cursor');
  const filters = apiQuery(query);
  const { data, problem, reload } = useData(
    `predictions ${query}`,
    (signal) =>
      get<List<Prediction>>('/v1/predictions', { ...filters, cursor, limit: LIMIT, include: 'input,output' }, signal),
    { everyMs: cursor === null ? LIVE_MS : null },
  );
  const { selected, select } = useSelection(data?.data ?? []);
  return page('Predictions', [
    pageHead({
      title: 'Predictions',
      actions: bulkActions({ query, selected, changed: reload }),
      after: html`<span class="quiet">${data === undefined ? '' : amount(data, cursor !== null)}</span>`,
    }),
    filterBar(query),
    staleNotice(data ? problem : undefined),
    html`<section class="sheet block" aria-label="Matching predictions">${data === undefined || data.data.length > 0 || query.size > 0 ? creationChart(query) : null}${content()}</section>`,
  ]);

  function content(): Markup {
    if (data === undefined) return problem ? problemState(problem, reload) : skeleton(12);
    if (data.data.length === 0 && data.next === null) return empty(query);
    return [
      data.data.length === 0
        ? html`<p class="state">No prediction of this page matches. Older predictions may match.</p>`
        : table(data.data, selected, select),
      pager({ path: '/predictions', query, next: data.next, note: `Newest first, ${LIMIT} on a page` }),
    ];
  }
}

function amount({ data, next }: List<Prediction>, paged: boolean): string {
  const failed = data.filter(({ status }) => status === 'failed' || status === 'expired').length;
  const shown =
    next === null && !paged ? counted(data.length, 'prediction') : `${counted(data.length, 'prediction')} on this page`;
  return failed === 0 ? shown : `${shown}, ${failed} failed or expired`;
}

interface Selection {
  /** Ids of predictions that the page shows. */
  selected: ReadonlySet<string>;
  select: (ids: readonly string[], isSelected: boolean) => void;
}

/** X selects the row that has the focus. Predictions that leave the page leave the selection. */
function useSelection(predictions: readonly Prediction[]): Selection {
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  useShortcuts({
    x: () => document.activeElement?.closest('tr')?.querySelector<HTMLInputElement>('input[type=checkbox]')?.click(),
  });
  return {
    selected: new Set(predictions.flatMap(({ id }) => (chosen.has(id) ? [id] : []))),
    select: (ids, isSelected) =>
      setChosen((now) => new Set(isSelected ? [...now, ...ids] : [...now].filter((id) => !ids.includes(id)))),
  };
}

const isChecked = (event: Event): boolean => (event.currentTarget as HTMLInputElement).checked;

function table(
  predictions: readonly Prediction[],
  selected: Selection['selected'],
  select: Selection['select'],
): Markup {
  const ids = predictions.map(({ id }) => id);
  const all = selected.size === predictions.length;
  return html`<div class="table cards"><table aria-label="Predictions">
    <colgroup><col class="o1" width="40" /><col width="128" /><col /><col class="o2" width="158" /><col class="o2" width="180" /><col class="o1" width="80" /><col class="o2" width="78" /><col class="o2" width="72" /><col class="o1" width="152" /><col width="92" /></colgroup>
    <thead><tr><th scope="col" class="o1"><input type="checkbox" aria-label="Select all predictions of the page" checked=${all} indeterminate=${!all && selected.size > 0} onChange=${(event: Event) => select(ids, isChecked(event))} /></th><th scope="col">Status</th><th scope="col">Input</th><th scope="col" class="o2">Output</th><th scope="col" class="o2">Model</th><th scope="col" class="o1">Cache</th>
      <th scope="col" class="num o2">Wait, ms</th><th scope="col" class="num o2">Run, ms</th><th scope="col" class="o1">Id</th><th scope="col" class="num">Created</th></tr></thead>
    <tbody>${predictions.map((prediction) => row(prediction, selected.has(prediction.id), select))}</tbody>
  </table></div>`;
}

function row(prediction: Prediction, isSelected: boolean, select: Selection['select']): Markup {
  const { id, model, version, status, attempt, cache, metrics, created_at, error } = prediction;
  const subject = subjectOf(prediction);
  return html`<tr key=${id}>
    <td class="o1"><input type="checkbox" aria-label=${`Select ${subject}`} checked=${isSelected} onChange=${(event: Event) => select([id], isChecked(event))} /></td>
    <td class="below">${statusMark(status, attempt > 1 ? html` <span class="quiet">${attempt}×</span>` : null)}</td>
    <td class="lead cut"><a class="row-link" href=${href(`/predictions/${id}`)} title=${subject}>${subject}</a></td>
    <td class=${`cut o2 ${error === null ? 'second' : status === 'canceled' ? 'quiet mono' : 'fail mono'}`}>${error?.code ?? resultOf(prediction) ?? html`<span class="zero">–</span>`}</td>
    <td class="cut o2" title=${model}>${model} <span class="quiet">${version}</span></td>
    <td class="o1 quiet">${cache ?? '–'}</td>
    <td class="num o2">${figure(metrics.wait_ms)}</td>
    <td class="num o2">${figure(metrics.run_ms)}</td>
    <td class="mono quiet o1" title=${id}>${shortId(id)}</td>
    <td class="num end quiet nowrap">${time(created_at)}</td>
    <td class="below2 phone-only cut">${model}</td>
  </tr>`;
}

const figure = (ms: number | null): Markup =>
  ms === null || ms === 0 ? html`<span class="zero">${ms === null ? '–' : 0}</span>` : millis(ms);

function empty(query: URLSearchParams): Markup {
  const described = describeFilters(query);
  if (described === '')
    return emptyState(
      'No prediction yet',
      html`<p>Run a model in the browser, or send a request to the API.</p>`,
      html`<a class="button main" href=${href('/models')}>Choose a model</a>`,
    );
  return emptyState(
    'No prediction matches',
    html`<p>No stored prediction has ${described}.</p>`,
    html`<a class="button" href=${href('/predictions')}>All predictions</a>`,
  );
}

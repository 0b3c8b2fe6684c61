/** The list of deliveries with its filters. The address selects one delivery, which is shown beside the list. */
import { useState } from 'preact/hooks';
import { href, setQuery, withQuery } from '../../core/address.ts';
import { get } from '../../core/api.ts';
import { useData } from '../../core/data.ts';
import type { Endpoint } from '../../core/operator-types.ts';
import type { Delivery, List } from '../../core/types.ts';
import { h, html, type Markup } from '../../ui/html.ts';
import { icon } from '../../ui/icon.ts';
import { pager } from '../../ui/pager.ts';
import { emptyState, problemState, skeleton, staleNotice } from '../../ui/states.ts';
import { statusMark } from '../../ui/status.ts';
import { time } from '../../ui/time.ts';
import { DeliveryDetail } from './delivery.ts';
import { deliveryFilter, filterOfText, RANGES, STATUSES } from './filters.ts';

const LIMIT = 25;
const LIVE_MS = 5_000;

interface DeliveriesProps {
  query: URLSearchParams;
  endpoints: readonly Endpoint[];
  /** Changes after an action, so that the list shows its effect. */
  round: number;
  changed: () => void;
}

export function Deliveries({ query, endpoints, round, changed }: DeliveriesProps): Markup {
  const cursor = query.get('cursor');
  const chosen = query.get('delivery');
  const filter = deliveryFilter(query);
  const key = withQuery(query, { delivery: null });
  const { data, problem, reload } = useData(
    `deliveries ${JSON.stringify(key)} ${round}`,
    (signal) => get<List<Delivery>>('/v1/webhook-deliveries', { ...filter, cursor, limit: LIMIT }, signal),
    { everyMs: cursor === null ? LIVE_MS : null },
  );
  const after = () => {
    changed();
    reload();
  };
  const detail = chosen === null ? null : h(DeliveryDetail, { id: chosen, key: chosen, round, changed: after });
  return html`${filters(query, endpoints)}${staleNotice(data ? problem : undefined)}
    <div class=${chosen === null ? 'sheet block' : 'master one block'}><div class="list">${content()}</div>${detail}</div>`;

  function content(): Markup {
    if (data === undefined) return problem ? problemState(problem, reload) : skeleton(12);
    if (data.data.length === 0 && data.next === null) return empty(query);
    return [
      table(data.data, query),
      pager({ path: '/webhooks', query, next: data.next, note: `Newest first, ${LIMIT} on a page` }),
    ];
  }
}

function table(deliveries: readonly Delivery[], query: URLSearchParams): Markup {
  return html`<div class="table cards"><table aria-label="Deliveries">
    <colgroup><col width="118" /><col /><col class="o2" width="166" /><col class="o1" width="72" /><col class="o2" width="140" /><col width="96" /></colgroup>
    <thead><tr><th scope="col">Status</th><th scope="col">Endpoint</th><th scope="col" class="o2">Event</th><th scope="col" class="num o1">Attempts</th><th scope="col" class="o2">Last response</th><th scope="col" class="num">Created</th></tr></thead>
    <tbody>${deliveries.map((delivery) => row(delivery, query))}</tbody>
  </table></div>`;
}

const hostOf = (url: string): string => (URL.canParse(url) ? new URL(url).host : url);
const pathOf = (url: string): string => (URL.canParse(url) ? new URL(url).pathname.replace(/^\/$/, '') : '');

function row({ id, status, url, event, attempts, created_at }: Delivery, query: URLSearchParams): Markup {
  const isChosen = query.get('delivery') === id;
  const last = attempts.at(-1);
  const response = last === undefined ? undefined : (last.http_status ?? last.error?.code ?? 'no response');
  const isFault = last !== undefined && (last.http_status === null || last.http_status >= 300);
  const link = href('/webhooks', withQuery(query, { delivery: id }));
  return html`<tr key=${id} class=${isChosen ? 'now' : undefined}>
    <td class="below">${statusMark(status)}</td>
    <td class="lead cut"><a class="row-link" href=${link} title=${url} aria-current=${isChosen ? 'true' : undefined}>${hostOf(url)}<span class="quiet">${pathOf(url)}</span></a></td>
    <td class="second o2 cut">${event.type}</td>
    <td class="num o1">${attempts.length === 0 ? html`<span class="zero">0</span>` : attempts.length}</td>
    <td class=${`o2 cut ${response === undefined ? 'zero' : isFault ? 'fail' : 'second'}`}>${response ?? '–'}</td>
    <td class="num quiet end">${time(created_at)}</td>
    <td class="below2 phone-only cut">${event.type}</td>
  </tr>`;
}

function empty(query: URLSearchParams): Markup {
  const filtered = ['endpoint', 'status', 'prediction', 'range', 'from', 'to'].some((name) => query.has(name));
  if (filtered)
    return emptyState(
      'No delivery matches',
      html`<p>No stored delivery has these filters.</p>`,
      html`<a class="button" href=${href('/webhooks')}>All deliveries</a>`,
    );
  return emptyState(
    'No delivery yet',
    html`<p>A prediction that ends sends an event to each endpoint, and to the URL that the prediction names. Send a test event from an endpoint.</p>`,
    html`<a class="button" href=${href('/webhooks', { tab: 'endpoints' })}>Endpoints</a>`,
  );
}

const change = (changes: Record<string, string | null>) => setQuery({ ...changes, cursor: null, delivery: null });

function filters(query: URLSearchParams, endpoints: readonly Endpoint[]): Markup {
  const custom = query.has('from') || query.has('to');
  const endpoint = query.get('endpoint') ?? '';
  const known = endpoints.map(({ id, url }) => [id, hostOf(url)] as const);
  const prediction = query.get('prediction');
  return html`<div class="filters block" role="search" aria-label="Filters">
    ${h(SearchField, {})}
    ${choice({ label: 'Endpoint', value: endpoint, choices: [['', 'any'], ...known, ...(endpoint === '' || known.some(([id]) => id === endpoint) ? [] : [[endpoint, 'removed'] as const])], set: (value) => change({ endpoint: value }) })}
    ${choice({ label: 'Status', value: query.get('status') ?? '', choices: [['', 'any'], ...STATUSES.map((status) => [status, status] as const)], set: (value) => change({ status: value }) })}
    ${choice({
      label: 'Created',
      value: custom ? 'custom' : (query.get('range') ?? ''),
      choices: [
        ['', 'any time'],
        ...Object.entries(RANGES).map(([key, [word]]) => [key, word] as const),
        ...(custom ? [['custom', 'in the chosen time'] as const] : []),
      ],
      set: (range) => change({ range: range === 'custom' ? null : range, from: null, to: null }),
    })}
    ${
      prediction === null
        ? null
        : html`<span class="chip"><span class="chip-text"><i>prediction:</i> <span class="mono">${prediction.slice(0, 17)}</span></span>
      <button class="remove" type="button" aria-label="Remove the filter prediction" onClick=${() => change({ prediction: null })}>${icon('x')}</button></span>`
    }
  </div>`;
}

interface ChoiceProps {
  label: string;
  value: string;
  choices: readonly (readonly [value: string, word: string])[];
  set: (value: string) => void;
}

const choice = ({ label, value, choices, set }: ChoiceProps): Markup =>
  html`<label class="chip select-chip"><i>${label}:</i><select value=${value} onChange=${(event: Event) => set((event.currentTarget as HTMLSelectElement).value)}>
    ${choices.map(([key, word]) => html`<option value=${key}>${word}</option>`)}</select>${icon('down')}</label>`;

function SearchField(): Markup {
  const [text, setText] = useState('');
  const [wrong, setWrong] = useState(false);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' || text.trim() === '') return;
    const filter = filterOfText(text);
    if (filter === undefined) return setWrong(true);
    if (filter.name === 'delivery') setQuery({ delivery: filter.value });
    else change({ prediction: filter.value });
    setText('');
  };
  const onInput = (event: InputEvent) => {
    setText((event.currentTarget as HTMLInputElement).value);
    setWrong(false);
  };
  return html`<div class="search">${icon('search')}
    <input class="input" type="text" aria-label="Search by the id of a delivery or of a prediction" placeholder="Delivery or prediction id" spellcheck="false" autocomplete="off"
      aria-invalid=${wrong ? 'true' : undefined} aria-describedby=${wrong ? 'search-hint' : undefined} value=${text} onInput=${onInput} onKeyDown=${onKeyDown} /><kbd aria-hidden="true">/</kbd>
    ${wrong ? html`<p class="hint fail" id="search-hint" role="alert">${icon('fail')}<span>Enter a whole id: whd_… of a delivery, or pred_… of a prediction.</span></p>` : null}
  </div>`;
}

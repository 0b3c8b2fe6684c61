/** The dialog that redelivers the failed and canceled deliveries of a time range, to one endpoint or to all endpoints. */
import { useState } from 'preact/hooks';
import type { Filter } from '../../core/bulk.ts';
import type { Endpoint } from '../../core/operator-types.ts';
import { bulkDialog } from '../../ui/bulk-dialog.ts';
import { html, type Markup } from '../../ui/html.ts';
import { deliveryFilter, localTime } from './filters.ts';

const DAY_MS = 86_400_000;
const BOTH = ['failed', 'canceled'] as const;

interface RangeProps {
  query: URLSearchParams;
  endpoints: readonly Endpoint[];
  changed: () => void;
  close: () => void;
}

export function RedeliverRange({ query, endpoints, changed, close }: RangeProps): Markup {
  const [openedAt] = useState(() => Date.now());
  const given = deliveryFilter(query);
  const [from, setFrom] = useState(() => localTime(new Date(given.created_after ?? openedAt - DAY_MS)));
  const [to, setTo] = useState(() =>
    given.created_before === undefined ? '' : localTime(new Date(given.created_before)),
  );
  const [endpoint, setEndpoint] = useState(given.endpoint_id ?? '');
  const [status, setStatus] = useState(BOTH.find((known) => known === given.status) ?? '');
  const filter = filterOf({ from, to, endpoint, prediction: given.prediction_id });
  const statuses = status === '' ? BOTH : [status];
  const text = (set: (value: string) => void) => (event: Event) =>
    set((event.currentTarget as HTMLInputElement | HTMLSelectElement).value);
  return bulkDialog({
    ...{ verb: 'Redeliver', noun: 'event', nouns: 'events', keep: 'Do not redeliver', doneWord: 'sent again' },
    effect: html`Each event is sent again to the present URL of its endpoint, with the same webhook id. Receivers that store the ids skip events that they have.`,
    fields: html`<div class="grid2 fields">
      <div class="field"><label for="range-endpoint">Endpoint</label><select class="select" id="range-endpoint" value=${endpoint} onChange=${text(setEndpoint)}>
        <option value="">any</option>${endpoints.map(({ id, url, status: state }) => html`<option value=${id}>${URL.canParse(url) ? new URL(url).host : url}${state === 'disabled' ? ' (disabled)' : ''}</option>`)}</select></div>
      <div class="field"><label for="range-status">Status</label><select class="select" id="range-status" value=${status} onChange=${text(setStatus)}>
        <option value="">failed or canceled</option><option value="failed">failed</option><option value="canceled">canceled</option></select></div>
      <div class="field"><label for="range-from">Created from</label><input class="input" id="range-from" type="datetime-local" value=${from} onChange=${text(setFrom)} /></div>
      <div class="field"><label for="range-to">To, empty for now</label><input class="input" id="range-to" type="datetime-local" value=${to} onChange=${text(setTo)} /></div>
    </div>`,
    filterWords: [],
    count: { path: '/v1/webhook-deliveries', queries: statuses.map((known) => ({ ...filter, status: known })) },
    path: '/v1/webhook-deliveries/redeliver',
    filter: status === '' ? filter : { ...filter, status },
    changed,
    close,
  });
}

interface Fields {
  from: string;
  to: string;
  endpoint: string;
  prediction: string | undefined;
}

function filterOf({ from, to, endpoint, prediction }: Fields): Filter {
  const time = (text: string) => (Number.isNaN(Date.parse(text)) ? undefined : new Date(text).toISOString());
  const filter = {
    created_after: time(from) ?? new Date(0).toISOString(),
    created_before: time(to),
    endpoint_id: endpoint,
    prediction_id: prediction,
  };
  return Object.fromEntries(Object.entries(filter).filter((entry): entry is [string, string] => Boolean(entry[1])));
}

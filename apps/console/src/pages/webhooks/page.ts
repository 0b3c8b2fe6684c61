/** Webhooks: the deliveries with each attempt, and the endpoints that receive them. */
import { useState } from 'preact/hooks';
import { go, href, setQuery } from '../../core/address.ts';
import { get } from '../../core/api.ts';
import { useData } from '../../core/data.ts';
import { count, counted } from '../../core/format.ts';
import type { Endpoint } from '../../core/operator-types.ts';
import type { PageProps } from '../../core/page-props.ts';
import { useShortcuts } from '../../core/shortcuts.ts';
import type { List } from '../../core/types.ts';
import { h, html, type Markup } from '../../ui/html.ts';
import { icon } from '../../ui/icon.ts';
import { page, pageHead } from '../../ui/page.ts';
import { staleNotice } from '../../ui/states.ts';
import { tabList, tabPanel } from '../../ui/tabs.ts';
import { Deliveries } from './deliveries.ts';
import { EndpointForm } from './endpoint-form.ts';
import { Endpoints } from './endpoints.ts';
import { RedeliverRange } from './redeliver-range.ts';

const LIVE_MS = 10_000;

export default function WebhooksPage({ query }: PageProps): Markup {
  const [open, setOpen] = useState<'range' | 'endpoint' | null>(null);
  const [round, setRound] = useState(0);
  const endpoints = useData(
    'endpoints',
    (signal) => get<List<Endpoint>>('/v1/webhook-endpoints', { limit: 100 }, signal),
    { everyMs: LIVE_MS },
  );
  const tab = query.get('tab') === 'endpoints' ? 'endpoints' : 'deliveries';
  const changed = () => {
    endpoints.reload();
    setRound((now) => now + 1);
  };
  useShortcuts({
    r: () => setOpen('range'),
    escape: () => setQuery(tab === 'endpoints' ? { endpoint: null } : { delivery: null }),
  });
  const list = endpoints.data?.data ?? [];
  const choose = (id: string) => go(href('/webhooks', { tab: id === 'deliveries' ? null : id }));
  const close = () => setOpen(null);
  return page('Webhooks', [
    pageHead({
      title: endpoints.data === undefined ? 'Webhooks' : titleOf(endpoints.data),
      text: endpoints.data === undefined ? html`\u00a0` : sentenceOf(list),
      actions: html`<button class="button" type="button" aria-keyshortcuts="R" onClick=${() => setOpen('range')}>${icon('retry')}Redeliver events…</button>
        <button class="button main" type="button" onClick=${() => setOpen('endpoint')}>${icon('plus')}Add endpoint…</button>`,
    }),
    staleNotice(endpoints.data ? endpoints.problem : undefined),
    tabList({
      label: 'Webhooks',
      chosen: tab,
      choose,
      tabs: [
        { id: 'deliveries', title: 'Deliveries' },
        { id: 'endpoints', title: html`Endpoints${endpoints.data ? html`<span>${count(list.length)}</span>` : null}` },
      ],
    }),
    tabPanel(
      tab,
      tab === 'endpoints'
        ? h(Endpoints, { query, endpoints, changed, add: () => setOpen('endpoint') })
        : h(Deliveries, { query, endpoints: list, round, changed }),
    ),
    open === 'range' ? h(RedeliverRange, { query, endpoints: list, changed, close }) : null,
    open === 'endpoint' ? h(EndpointForm, { changed, close }) : null,
  ]);
}

export const isFailing = ({ status, failing_since_at }: Endpoint): boolean =>
  status === 'enabled' && failing_since_at !== null;

function titleOf({ data, has_more }: List<Endpoint>): string {
  if (data.length === 0) return 'No endpoint';
  const failing = data.filter(isFailing).length;
  const many = has_more ? `More than ${counted(data.length, 'endpoint')}` : counted(data.length, 'endpoint');
  if (failing > 0) return `${many}, ${failing} failing`;
  const enabled = data.filter(({ status }) => status === 'enabled').length;
  return enabled === data.length ? `${many}, none failing` : `${many}, ${data.length - enabled} disabled`;
}

function sentenceOf(endpoints: readonly Endpoint[]): string {
  const failing = endpoints.filter(isFailing).map(({ url }) => new URL(url).host);
  if (failing.length > 0)
    return `${failing.slice(0, 2).join(' and ')}${failing.length > 2 ? ` and ${failing.length - 2} more` : ''}: the last attempts failed. Millrace makes ten attempts in three days.`;
  if (endpoints.length === 0)
    return 'Register an endpoint to receive the events of all predictions. A prediction can name a URL of its own, too.';
  return 'Millrace makes up to ten attempts for each event, in three days.';
}

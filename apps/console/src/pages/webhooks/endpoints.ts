/** The endpoints: what each receives, and whether its last attempts succeed. The address selects one endpoint. */
import { useState } from 'preact/hooks';
import { href, setQuery } from '../../core/address.ts';
import { call, get } from '../../core/api.ts';
import { asProblem, type Data, useData } from '../../core/data.ts';
import type { Endpoint, SecretState } from '../../core/operator-types.ts';
import type { Delivery, List } from '../../core/types.ts';
import { copyButton } from '../../ui/code.ts';
import { h, html, type Markup } from '../../ui/html.ts';
import { icon } from '../../ui/icon.ts';
import { emptyState, problemState, skeleton } from '../../ui/states.ts';
import { statusMark } from '../../ui/status.ts';
import { time } from '../../ui/time.ts';
import { showToast } from '../../ui/toast.ts';
import { RemoveEndpoint, RotateSecret, SetEnabled } from './endpoint-dialogs.ts';
import { EndpointForm } from './endpoint-form.ts';

interface EndpointsProps {
  query: URLSearchParams;
  endpoints: Data<List<Endpoint>>;
  changed: () => void;
  add: () => void;
}

export function Endpoints({ query, endpoints, changed, add }: EndpointsProps): Markup {
  const { data, problem, reload } = endpoints;
  const chosen = query.get('endpoint');
  const endpoint = data?.data.find(({ id }) => id === chosen);
  const list = html`<div class="list">${content()}</div>`;
  return html`<div class=${endpoint === undefined ? 'sheet block' : 'master one block'}>${list}${endpoint === undefined ? null : h(EndpointDetail, { endpoint, key: endpoint.id, changed })}</div>
    ${chosen !== null && data !== undefined && endpoint === undefined ? html`<div class="notice block" role="status">${icon('info')}<p>The endpoint <span class="mono">${chosen}</span> was removed, or is of another tenant.</p></div>` : null}
    ${h(TenantSecret, {})}`;

  function content(): Markup {
    if (data === undefined) return problem ? problemState(problem, reload) : skeleton(4);
    if (data.data.length === 0)
      return emptyState(
        'No endpoint yet',
        html`<p>An endpoint is a URL of your system that receives the events of predictions. Millrace signs each request.</p>`,
        html`<button class="button main" type="button" onClick=${add}>${icon('plus')}Add endpoint…</button>`,
      );
    return table(data.data, endpoint?.id);
  }
}

/** Beside the detail of an endpoint the table has fewer columns. */
function table(endpoints: readonly Endpoint[], chosen: string | undefined): Markup {
  const wide = chosen === undefined;
  const columns = wide ? html`<col class="o2" width="170" /><col class="o1" width="170" />` : null;
  const heads = wide ? html`<th scope="col" class="o2">Events</th><th scope="col" class="o1">Models</th>` : null;
  return html`<div class="table cards"><table aria-label="Endpoints">
    <colgroup><col />${columns}<col width="112" /><col class="o2" width="120" />${wide ? html`<col class="o1" width="96" />` : null}</colgroup>
    <thead><tr><th scope="col">Endpoint</th>${heads}<th scope="col">State</th><th scope="col" class="num o2">Failing since</th>${wide ? html`<th scope="col" class="num o1">Added</th>` : null}</tr></thead>
    <tbody>${endpoints.map((endpoint) => row(endpoint, { isChosen: endpoint.id === chosen, wide }))}</tbody>
  </table></div>`;
}

function row(endpoint: Endpoint, { isChosen, wide }: { isChosen: boolean; wide: boolean }): Markup {
  const { id, url, failing_since_at, created_at } = endpoint;
  const events = eventWords(endpoint);
  const models = modelWords(endpoint);
  return html`<tr key=${id} class=${isChosen ? 'now' : undefined}>
    <td class="lead cut"><a class="row-link" href=${href('/webhooks', { tab: 'endpoints', endpoint: id })} title=${url} aria-current=${isChosen ? 'true' : undefined}>${url}</a></td>
    ${wide ? html`<td class="second o2 cut" title=${events}>${events}</td><td class="second o1 cut" title=${models}>${models}</td>` : null}
    <td class="below">${stateMark(endpoint)}</td>
    <td class="num o2 quiet">${time(failing_since_at)}</td>
    ${wide ? html`<td class="num quiet o1">${time(created_at)}</td>` : null}
  </tr>`;
}

const eventWords = ({ events }: Endpoint): string =>
  events.includes('*')
    ? 'all'
    : events
        .map((type) => type.replace('prediction.', ''))
        .join(', ')
        .replace(/^\*$/, 'all of predictions');
const modelWords = ({ models }: Endpoint): string => (models.length === 0 ? 'all models' : models.join(', '));

function stateMark({ status, failing_since_at }: Endpoint): Markup {
  if (status === 'enabled' && failing_since_at !== null)
    return html`<span class="status waiting">${icon('warn')}failing</span>`;
  return statusMark(status);
}

type Open = 'edit' | 'rotate' | 'enable' | 'disable' | 'remove' | null;

function EndpointDetail({ endpoint, changed }: { endpoint: Endpoint; changed: () => void }): Markup {
  const [open, setOpen] = useState<Open>(null);
  const { id, url, status, failing_since_at, detail, unknown_models, description } = endpoint;
  const close = () => setOpen(null);
  const isEnabled = status === 'enabled';
  const host = URL.canParse(url) ? new URL(url).host : url;
  return html`<section class="detail" aria-labelledby="endpoint-h">
    <div class="sheet-head"><h2 id="endpoint-h" class="cut">${host}</h2>${stateMark(endpoint)}
      <button class="button tiny only plain push" type="button" aria-label="Close" onClick=${() => setQuery({ endpoint: null })}>${icon('x')}</button></div>
    ${detail === null ? null : html`<div class="notice failed in-detail">${icon('warn')}<p>${detail}</p></div>`}
    <div class="sheet-body"><dl class="pairs" aria-label="Endpoint">
      <dt>URL</dt><dd class="break">${url}</dd>
      ${description === '' ? null : html`<dt>Description</dt><dd class="break">${description}</dd>`}
      <dt>Events</dt><dd>${eventWords(endpoint)}</dd>
      <dt>Models</dt><dd>${modelWords(endpoint)}${unknown_models.length > 0 ? html` <span class="warn">${icon('warn')} unknown: ${unknown_models.join(', ')}</span>` : null}</dd>
      <dt>Failing since</dt><dd>${time(failing_since_at, { exact: true })}</dd>
      <dt>Added</dt><dd>${time(endpoint.created_at, { exact: true })}</dd>
      <dt>Id</dt><dd class="line"><span class="mono cut" title=${id}>${id}</span>${copyButton(id, 'Copy id')}</dd>
    </dl></div>
    <div class="sheet-body actions in-detail">
      ${h(TestButton, { endpoint })}
      <button class="button" type="button" onClick=${() => setOpen('edit')}>Edit…</button>
      <button class="button" type="button" onClick=${() => setOpen('rotate')}>${icon('keys')}Rotate secret…</button>
      <button class="button" type="button" onClick=${() => setOpen(isEnabled ? 'disable' : 'enable')}>${isEnabled ? 'Disable…' : 'Enable…'}</button>
      <button class="button risk" type="button" onClick=${() => setOpen('remove')}>Remove…</button>
    </div>
    ${h(RecentDeliveries, { id })}
    ${open === 'edit' ? h(EndpointForm, { endpoint, changed, close }) : null}
    ${open === 'rotate' ? h(RotateSecret, { path: `/v1/webhook-endpoints/${id}/secret/rotate`, receiver: host, changed, close }) : null}
    ${open === 'enable' || open === 'disable' ? h(SetEnabled, { endpoint, enable: open === 'enable', changed, close }) : null}
    ${open === 'remove' ? h(RemoveEndpoint, { endpoint, changed, close }) : null}
  </section>`;
}

/** The result of a test is a delivery, which the console shows at once. */
function TestButton({ endpoint: { id, status } }: { endpoint: Endpoint }): Markup {
  const [busy, setBusy] = useState(false);
  const isDisabled = status !== 'enabled';
  const send = async () => {
    setBusy(true);
    try {
      const { body } = await call<Delivery>(`/v1/webhook-endpoints/${id}/test`, { method: 'POST' });
      setQuery({ tab: null, delivery: body.id });
    } catch (error) {
      showToast(asProblem(error).message, { failed: true });
      setBusy(false);
    }
  };
  return html`<button class="button main" type="button" disabled=${busy || isDisabled} title=${isDisabled ? 'The endpoint is disabled' : undefined} onClick=${send}>${icon('webhooks')}Send test event</button>`;
}

const RECENT = 5;

function RecentDeliveries({ id }: { id: string }): Markup {
  const { data } = useData(
    `recent ${id}`,
    (signal) => get<List<Delivery>>('/v1/webhook-deliveries', { endpoint_id: id, limit: RECENT }, signal),
    { everyMs: 5_000 },
  );
  if (data === undefined) return skeleton(3);
  const item = ({ id: delivery, status, event, created_at }: Delivery) =>
    html`<li key=${delivery}>${statusMark(status)}<a class="cut" href=${href('/webhooks', { endpoint: id, delivery })}>${event.type}</a><span class="quiet nowrap">${time(created_at)}</span></li>`;
  return html`<div class="sheet-head lined"><h3>Deliveries</h3><p>${data.data.length === 0 ? 'None yet' : `The last ${data.data.length === 1 ? 'one' : data.data.length}`}</p>${data.data.length === 0 ? null : html`<a class="push small" href=${href('/webhooks', { endpoint: id })}>All of this endpoint</a>`}</div>
    ${data.data.length === 0 ? null : html`<ul class="lines">${data.data.map(item)}</ul>`}`;
}

/** The secret that signs the events of URLs that predictions name. */
function TenantSecret(): Markup {
  const [open, setOpen] = useState(false);
  const { data, problem, reload } = useData('webhook secret', (signal) =>
    get<SecretState>('/v1/webhook-secret', {}, signal),
  );
  if (data === undefined) return problem ? null : html`<div class="sheet">${skeleton(2)}</div>`;
  const { configured, previous_signs_until_at: until } = data;
  return html`<section class="sheet" aria-labelledby="secret-h">
    <div class="sheet-head"><h2 id="secret-h">URLs that predictions name</h2>
      <button class="button tiny push" type="button" onClick=${() => setOpen(true)}>${icon('keys')}${configured ? 'Rotate secret…' : 'Create secret…'}</button></div>
    <p class="sheet-body second">${configured ? html`One secret of the tenant signs these events.${until === null ? '' : html` The previous secret signs too, until ${time(until, { exact: true })}.`}` : 'A prediction can name a URL after the tenant has a secret, which signs its events.'}</p>
    ${open ? h(RotateSecret, { path: '/v1/webhook-secret/rotate', receiver: 'URLs that predictions name', first: !configured, changed: reload, close: () => setOpen(false) }) : null}
  </section>`;
}

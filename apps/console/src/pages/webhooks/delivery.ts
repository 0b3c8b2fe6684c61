/** One delivery: its receiver, and each attempt with the request and the reply. */
import { useState } from 'preact/hooks';
import { href, setQuery } from '../../core/address.ts';
import { ApiProblem, call, get } from '../../core/api.ts';
import { asProblem, useData } from '../../core/data.ts';
import { duration, exactTime } from '../../core/format.ts';
import type { Attempt, Delivery } from '../../core/types.ts';
import { codeBlock, colored, copyButton, pretty } from '../../ui/code.ts';
import { html, type Markup } from '../../ui/html.ts';
import { icon } from '../../ui/icon.ts';
import { problemState, skeleton, staleNotice } from '../../ui/states.ts';
import { statusIcon, statusMark } from '../../ui/status.ts';
import { time } from '../../ui/time.ts';
import { showToast } from '../../ui/toast.ts';

const LIVE_MS = 3_000;

interface DetailProps {
  id: string;
  round: number;
  changed: () => void;
}

interface DeliveryData {
  delivery: Delivery;
  /** The body of the request; undefined where the event is older than the retention. */
  event: unknown;
}

async function load(id: string, signal: AbortSignal): Promise<DeliveryData> {
  const delivery = await get<Delivery>(`/v1/webhook-deliveries/${encodeURIComponent(id)}`, {}, signal);
  const event = await get<Record<string, unknown>>(`/v1/events/${delivery.event.id}`, {}, signal).catch(
    (error: unknown) => {
      if (error instanceof ApiProblem && error.status === 404) return undefined;
      throw error;
    },
  );
  if (event === undefined) return { delivery, event };
  // The place in the feed is no part of the webhook.
  const { cursor: _, ...body } = event;
  return { delivery, event: body };
}

export function DeliveryDetail({ id, round, changed }: DetailProps): Markup {
  const [busy, setBusy] = useState(false);
  const { data, problem, reload } = useData(`delivery ${id} ${round}`, (signal) => load(id, signal), {
    everyMs: LIVE_MS,
  });
  const redeliver = async () => {
    setBusy(true);
    try {
      await call(`/v1/webhook-deliveries/${id}/redeliver`, { method: 'POST' });
      changed();
      reload();
    } catch (error) {
      showToast(asProblem(error).message, { failed: true });
    } finally {
      setBusy(false);
    }
  };
  if (data === undefined)
    return html`<section class="detail" aria-label="Delivery">${back()}${problem ? problemState(problem, reload) : skeleton(8)}</section>`;
  const { delivery, event } = data;
  const { attempts, url, prediction_id } = delivery;
  return html`<section class="detail" aria-labelledby="delivery-h">
    ${back()}
    <div class="sheet-head"><h2 id="delivery-h" class="cut">${delivery.event.type}</h2>${statusMark(delivery.status)}
      <button class="button tiny push" type="button" disabled=${busy} onClick=${redeliver}>${icon('retry')}Redeliver</button>
      <button class="button tiny only plain wide-only" type="button" aria-label="Close" onClick=${() => setQuery({ delivery: null })}>${icon('x')}</button></div>
    ${staleNotice(problem)}
    <div class="sheet-body"><dl class="pairs" aria-label="Delivery">
      ${nextAttempt(delivery)}
      <dt>URL</dt><dd class="break">${url}</dd>
      <dt>Prediction</dt><dd class="cut">${prediction_id === null ? html`<span class="zero">–</span>` : html`<a class="mono" href=${href(`/predictions/${prediction_id}`)} title=${prediction_id}>${prediction_id}</a>`}</dd>
      <dt>Webhook id</dt><dd class="line"><span class="mono cut" title=${delivery.event.id}>${delivery.event.id}</span>${copyButton(delivery.event.id, 'Copy webhook id')}</dd>
      <dt>Delivery id</dt><dd class="line"><span class="mono cut" title=${id}>${id}</span>${copyButton(id, 'Copy delivery id')}</dd>
    </dl></div>
    <h3 class="sr">Attempts</h3>
    ${attempts.length === 0 ? html`<p class="sheet-body quiet">No attempt yet.</p>` : html`<ol class="attempts">${attempts.toReversed().map((attempt, at) => attemptItem({ attempt, delivery, event, open: at === 0 }))}</ol>`}
  </section>`;
}

const back = (): Markup =>
  html`<p class="sheet-head phone-only"><button class="text-button" type="button" onClick=${() => setQuery({ delivery: null })}>${icon('left')}All deliveries</button></p>`;

function nextAttempt({ status, next_attempt_at: at }: Delivery): Markup {
  if (status !== 'pending' || at === null) return null;
  return html`<dt>Next attempt</dt><dd>${Date.parse(at) > Date.now() ? time(at) : 'now'}</dd>`;
}

interface AttemptProps {
  attempt: Attempt;
  delivery: Delivery;
  event: unknown;
  open: boolean;
}

function attemptItem({ attempt, delivery, event, open }: AttemptProps): Markup {
  const { number, started_at, latency_ms, http_status, error } = attempt;
  const isOk = http_status !== null && http_status >= 200 && http_status < 300;
  return html`<li key=${number}><details open=${open}><summary>${icon('right')}<span>${exactTime(new Date(started_at)).split(', ').at(-1)}</span>
      <span class=${`status ${isOk ? 'delivered' : 'failed'} cut`}>${statusIcon(isOk ? 'delivered' : 'failed')}${http_status ?? error?.code ?? 'no response'} <span class="quiet cut">${REASONS[error?.code ?? ''] ?? ''}</span></span>
      <span class="num small quiet">${duration(latency_ms)}</span></summary>
    <div class="exchange"><h4>Signed request</h4>${request(attempt, delivery, event)}<h4>${attempt.reply ? 'Response, first 1,024 bytes' : 'Response'}</h4>${response(attempt)}</div></details></li>`;
}

const REASONS: Readonly<Record<string, string>> = {
  timeout: 'no response in time',
  connection_failed: 'no connection',
  connection_reset: 'the receiver closed the connection',
  tls_failed: 'no secure connection',
  dns_failed: 'the name does not resolve',
  address_refused: 'the address is not allowed',
  invalid_response: 'the response is not HTTP',
};

/** Millrace does not store the signature of a request, so the page shows none. */
function request({ started_at }: Attempt, delivery: Delivery, event: unknown): Markup {
  const url = URL.canParse(delivery.url) ? new URL(delivery.url) : undefined;
  const head = [
    `POST ${url === undefined ? delivery.url : url.pathname + url.search} HTTP/1.1`,
    `host: ${url?.host ?? ''}`,
    'content-type: application/json',
    `webhook-id: ${delivery.event.id}`,
    `webhook-timestamp: ${Math.floor(Date.parse(started_at) / 1_000)}`,
    'webhook-signature: v1,… (not kept)',
  ].join('\n');
  const body = event === undefined ? 'The event is older than the retention.' : pretty(event);
  const marks = [`${head}\n\n`, event === undefined ? body : colored(body)];
  return codeBlock({ text: `${head}\n\n${body}`, label: 'Request', marks, className: 'boxed' });
}

function response({ http_status, error, reply }: Attempt): Markup {
  if (http_status === null)
    return html`<p class="small quiet">No response: ${REASONS[error?.code ?? ''] ?? error?.code ?? 'the attempt did not end'}.</p>`;
  const text = `HTTP ${http_status}${reply ? `\n\n${reply}` : ''}`;
  return codeBlock({ text, label: 'Response', className: 'boxed wrap' });
}

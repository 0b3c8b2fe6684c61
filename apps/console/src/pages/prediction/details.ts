/** The facts of a prediction, each as a name with a value. */
import { href } from '../../core/address.ts';
import { duration } from '../../core/format.ts';
import type { Prediction } from '../../core/types.ts';
import { copyButton } from '../../ui/code.ts';
import { html, type Markup } from '../../ui/html.ts';
import { time } from '../../ui/time.ts';

const rule = html`<dd class="rule"></dd>`;
const copied = (text: string, label: string): Markup =>
  html`<span class="mono cut" title=${text}>${text}</span>${copyButton(text, label)}`;

/** The id of the trace, with a link to the store of traces if the server names a store. */
const traceOf = (id: string, url: string | null): Markup =>
  url === null
    ? copied(id, 'Copy trace id')
    : html`<a class="mono cut" href=${url.replaceAll('{trace_id}', encodeURIComponent(id))} target="_blank" rel="noreferrer" title=${id}>${id}</a>${copyButton(id, 'Copy trace id')}`;

export function details(prediction: Prediction, traceUrl: string | null): Markup {
  const { id, model, version, digest, priority, cache, rows, metrics, metadata, webhook, trace_id } = prediction;
  return html`<dl class="pairs" aria-label="Details">
    <dt>Id</dt><dd class="line">${copied(id, 'Copy id')}</dd>
    <dt>Model</dt><dd><a href=${href(`/models/${encodeURIComponent(model)}`)}>${model}</a> <span class="quiet">${version}</span></dd>
    <dt>Digest</dt><dd class="line">${copied(digest, 'Copy digest')}</dd>
    <dt>Priority</dt><dd>${priority}</dd>
    <dt>Cache</dt><dd>${cache ?? '–'}</dd>
    <dt>Rows</dt><dd>${rows ?? '–'}</dd>
    ${rule}
    <dt>Created</dt><dd>${time(prediction.created_at, { exact: true })}</dd>
    <dt>Started</dt><dd>${time(prediction.started_at, { exact: true })}</dd>
    <dt>Completed</dt><dd>${time(prediction.completed_at, { exact: true })}</dd>
    <dt>Expires</dt><dd>${time(prediction.expires_at, { exact: true })}</dd>
    ${rule}
    <dt>Wait</dt><dd>${duration(metrics.wait_ms)}</dd>
    <dt>Run</dt><dd>${duration(metrics.run_ms)}</dd>
    <dt>Total</dt><dd>${duration(metrics.total_ms)}</dd>
    <dt>Run rows</dt><dd>${metrics.run_rows ?? '–'}</dd>
    ${metadata === null && webhook === null && !trace_id ? null : rule}
    ${webhook === null ? null : html`<dt>Webhook</dt><dd class="cut" title=${webhook.url}>${webhook.url}</dd>`}
    ${metadata === null ? null : html`<dt>Metadata</dt><dd>${Object.entries(metadata).map(([key, value]) => html`<div><a class="mono" href=${href('/predictions', { [`metadata.${key}`]: String(value) })}>${key} = ${String(value)}</a></div>`)}</dd>`}
    ${trace_id ? html`<dt>Trace</dt><dd class="line">${traceOf(trace_id, traceUrl)}</dd>` : null}
  </dl>`;
}

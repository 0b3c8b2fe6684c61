/** One prediction: its result and the reason for its duration, its timeline, attempts and deliveries. */
import { useState } from 'preact/hooks';
import { href } from '../../core/address.ts';
import { call, get } from '../../core/api.ts';
import { useData } from '../../core/data.ts';
import { duration } from '../../core/format.ts';
import type { PageProps } from '../../core/page-props.ts';
import { subjectOf } from '../../core/summary.ts';
import type { Delivery, List, Prediction } from '../../core/types.ts';
import { dialog } from '../../ui/dialog.ts';
import { h, html, type Markup } from '../../ui/html.ts';
import { icon } from '../../ui/icon.ts';
import { page, pageHead } from '../../ui/page.ts';
import { problemState, skeleton, staleNotice } from '../../ui/states.ts';
import { ENDED, statusClass, statusIcon } from '../../ui/status.ts';
import { deliveriesSheet } from './deliveries.ts';
import { details } from './details.ts';
import { inputOutput } from './input-output.ts';
import { timelineSheet } from './timeline.ts';

/** The read waits on the server for the end, so that the page shows the end at once. */
const WAIT_S = 20;
const OPEN_MS = 1_000;

interface PredictionData {
  prediction: Prediction;
  deliveries: List<Delivery>;
}

async function load(id: string, signal: AbortSignal, wait: boolean): Promise<PredictionData> {
  const path = `/v1/predictions/${encodeURIComponent(id)}`;
  const prediction = await get<Prediction>(path, { include: 'input', ...(wait ? { wait: WAIT_S } : {}) }, signal);
  const deliveries = await get<List<Delivery>>('/v1/webhook-deliveries', { prediction_id: id, limit: 20 }, signal);
  return { prediction, deliveries };
}

export default function PredictionPage({ params, session }: PageProps): Markup {
  const id = params.id ?? '';
  const [seen, setSeen] = useState<string>();
  const open = seen !== undefined && !ENDED.has(seen);
  const { data, problem, reload } = useData(
    `prediction ${id}`,
    async (signal) => {
      const loaded = await load(id, signal, false);
      setSeen(loaded.prediction.status);
      return loaded;
    },
    { everyMs: open ? OPEN_MS : null },
  );
  if (data === undefined)
    return page('Prediction', [
      html`<h1 class="sr">Prediction</h1>`,
      problem ? problemState(problem, reload) : skeleton(8),
    ]);
  const { prediction, deliveries } = data;
  const { status } = prediction;
  return page(subjectOf(prediction), [
    pageHead({
      before: html`<span class=${`status ${statusClass(status)} big`}>${statusIcon(status)}</span>`,
      title: titleOf(prediction),
      text: sentenceOf(prediction),
      actions: h(Actions, { prediction, changed: reload }),
    }),
    staleNotice(problem),
    prediction.error === null ? null : errorNotice(prediction),
    html`<div class="aside"><div>${timelineSheet(prediction, deliveries.data)}${inputOutput(prediction)}${deliveriesSheet(id, deliveries)}</div>${details(prediction, session.trace_url ?? null)}</div>`,
  ]);
}

const ORDINALS = ['', '', 'second', 'third', 'fourth', 'fifth'];

function titleOf(prediction: Prediction): string {
  const { status, attempt, queue } = prediction;
  if (status === 'queued') return queue === null ? 'Waiting in the queue' : `Waiting at position ${queue.position}`;
  if (status === 'running') return attempt > 1 ? `Running, attempt ${attempt}` : 'Running';
  const word = status.charAt(0).toUpperCase() + status.slice(1);
  if (status === 'succeeded' && attempt > 1) return `${word} on the ${ORDINALS[attempt] ?? `${attempt}th`} attempt`;
  if (status === 'failed' && attempt > 1) return `${word} after ${attempt} attempts`;
  return word;
}

/** The share of the wait that is worth a sentence. */
const LONG_SHARE = 0.5;

function sentenceOf(prediction: Prediction): string {
  const { metrics, cache, status } = prediction;
  const subject = `${subjectOf(prediction)}, ${prediction.model} ${prediction.version}.`;
  const { wait_ms: wait, run_ms: run, total_ms: total } = metrics;
  if (total === null) return subject;
  if (cache === 'hit') return `${subject} The output came from the cache.`;
  if (cache === 'collapsed')
    return `${subject} ${duration(total)} in total, with the output of an equal request in progress.`;
  const parts = [
    wait === null ? '' : `${duration(wait)} in the queue`,
    run === null ? '' : `${duration(run)} in the model`,
  ].filter((part) => part !== '');
  const reason =
    wait !== null && wait > total * LONG_SHARE && status === 'succeeded' ? ' Most of the time was the wait.' : '';
  return `${subject} ${duration(total)} in total${parts.length > 0 ? `: ${parts.join(', ')}` : ''}.${reason}`;
}

function errorNotice({ error, status }: Prediction): Markup {
  if (error === null) return null;
  return html`<div class=${`notice block ${status === 'canceled' ? '' : 'failed'}`}>${icon(status === 'canceled' ? 'info' : 'fail')}<div>
    <p><b class="strong">${error.title}</b></p><p>${error.detail}</p><p class="small"><a class="mono" href=${href('/predictions', { error: error.code })}>${error.code}</a></p></div></div>`;
}

interface ActionsProps {
  prediction: Prediction;
  changed: () => void;
}

function Actions({ prediction, changed }: ActionsProps): Markup {
  const [open, setOpen] = useState<'cancel' | 'retry' | null>(null);
  const { id, model, urls } = prediction;
  const act = async () => {
    await call(`/v1/predictions/${id}/${open}`, { method: 'POST', headers: { prefer: 'respond-async' } });
    changed();
  };
  const close = () => setOpen(null);
  return html`<a class="button" href=${href(`/models/${encodeURIComponent(model)}`, againQuery(prediction))}>Run again</a>
    <button class="button" type="button" disabled=${urls.retry === null} title=${urls.retry === null ? 'Only a failed, canceled or expired prediction can be retried' : undefined} onClick=${() => setOpen('retry')}>${icon('retry')}Retry</button>
    <button class="button" type="button" disabled=${urls.cancel === null} title=${urls.cancel === null ? 'The prediction has ended' : undefined} onClick=${() => setOpen('cancel')}>${icon('canceled')}Cancel</button>
    ${open === 'retry' ? dialog({ title: 'Retry this prediction?', action: 'Retry prediction', keep: 'Do not retry', run: act, close, children: html`<p>The prediction runs again under its id, with the time limit of its first request.</p>` }) : null}
    ${open === 'cancel' ? dialog({ title: 'Cancel this prediction?', action: 'Cancel prediction', keep: 'Keep running', risk: true, run: act, close, children: html`<p>Other predictions with an equal input still get their output.</p>` }) : null}`;
}

/** The input for the model's form: the stored input, or the names in the output of a succeeded prediction. */
function againQuery({ input, output }: Prediction): Record<string, string> {
  const source = input ?? output;
  if (typeof source !== 'object' || source === null || Array.isArray(source)) return {};
  const texts = Object.entries(source).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string' && entry[1].length < 200,
  );
  return Object.fromEntries(texts.filter(([name]) => name !== 'input' && name !== 'tab'));
}

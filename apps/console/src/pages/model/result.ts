/** The output of the last run: for people and as JSON, with the use of the cache and the time of each stage. */
import { useState } from 'preact/hooks';
import { href } from '../../core/address.ts';
import type { ApiProblem } from '../../core/api.ts';
import { count, counted, duration, millis } from '../../core/format.ts';
import { stagesOf } from '../../core/stages.ts';
import { subjectOf } from '../../core/summary.ts';
import type { Prediction, Version } from '../../core/types.ts';
import { copyButton, jsonBlock } from '../../ui/code.ts';
import { h, html, type Markup } from '../../ui/html.ts';
import { icon } from '../../ui/icon.ts';
import { drawOutput } from '../../ui/output.ts';
import { statusMark } from '../../ui/status.ts';
import { waterfall } from '../../ui/waterfall.ts';
import type { RunResult } from './run.ts';

interface ResultProps {
  version: Version;
  outcome: { result?: RunResult; problem?: ApiProblem; input: unknown } | undefined;
  busy: boolean;
  examples: readonly unknown[];
  choose: (input: unknown) => void;
}

export function resultPanel({ version, outcome, busy, examples, choose }: ResultProps): Markup {
  if (outcome?.result) return h(Result, { version, result: outcome.result, input: outcome.input, busy });
  if (outcome?.problem) return problemPanel(outcome.problem);
  if (busy)
    return html`<section class="sheet" aria-label="Output" aria-live="polite"><div class="verdict empty-output"><p class="second">Running</p></div></section>`;
  return html`<section class="sheet" aria-label="Output"><div class="verdict empty-output">
    <p class="second">The output appears here.</p>
    ${
      examples.length === 0
        ? null
        : html`<p>Examples: ${examples.slice(0, 3).map((example, index) => [index > 0 ? ', ' : '', html`<button type="button" class="text-button" onClick=${() => choose(example)}>${exampleName(example)}</button>`])}</p>`
    }
  </div></section>`;
}

const exampleName = (example: unknown): string => {
  const texts =
    typeof example === 'object' && example !== null
      ? Object.values(example).filter((value) => typeof value === 'string')
      : [];
  const text = texts.length > 0 ? texts.join(' · ') : JSON.stringify(example);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
};

function problemPanel(problem: ApiProblem): Markup {
  const later = problem.status === 429 || problem.status >= 500 || problem.status === 0;
  return html`<section class="sheet" aria-label="Output" role="alert"><div class="verdict">
    <div class="line">${icon('fail', 'fail')}<h2>${problem.title}</h2></div>
    <p class="why">${problem.message}</p>
    ${later ? html`<p class="why">The server accepted nothing. Run the model again in a moment.</p>` : null}
    <p class="why small quiet"><span class="mono">${problem.code}</span>${problem.requestId === null ? null : html` · request <span class="mono">${problem.requestId}</span>`}</p>
  </div></section>`;
}

interface DoneProps {
  version: Version;
  result: RunResult;
  input: unknown;
  busy: boolean;
}

function Result({ version, result, input, busy }: DoneProps): Markup {
  const [asJson, setAsJson] = useState(false);
  const { prediction, cacheStatus, tookMs } = result;
  const done = prediction.status === 'succeeded';
  const view = (json: boolean, word: string) =>
    html`<button type="button" aria-pressed=${String(asJson === json)} onClick=${() => setAsJson(json)}>${word}</button>`;
  const stages = waterfallOf(result);
  return html`<section class="sheet" aria-label="Output" aria-live="polite" aria-busy=${String(busy)}>
    <div class="verdict">
      <div class="line"><p class="second cut">${subjectOf({ ...prediction, input })}</p>
        <div class="segments push" role="group" aria-label="Output format">${view(false, 'Output')}${view(true, 'JSON')}</div></div>
      ${asJson ? jsonBlock(prediction, 'Prediction as JSON', 'boxed') : done ? drawOutput(prediction.output, version.output_schema) : pending(prediction)}
    </div>
    <div class="facts"><span>${icon('store')}<span>${cacheSentence(prediction, cacheStatus, version)}</span></span><span class="mono quiet push">${cacheStatus}</span></div>
    ${stages}
    <div class="facts">
      <span>${icon('predictions')}<a class="mono cut" href=${href(`/predictions/${prediction.id}`)}>${prediction.id}</a>${copyButton(prediction.id, 'Copy id')}</span>
      <span>version ${prediction.version}</span>
      ${prediction.metrics.run_rows === null ? null : html`<span>run of ${counted(prediction.metrics.run_rows, 'row')}</span>`}
      <span>${counted(prediction.attempt, 'attempt')}</span>
      <a class="push" href=${href(`/predictions/${prediction.id}`)}>View prediction${icon('right')}</a>
    </div>
    ${tookMs === null ? null : html`<p class="sr">${duration(tookMs)}</p>`}
  </section>`;
}

function pending(prediction: Prediction): Markup {
  const { status, queue, error } = prediction;
  if (error !== null)
    return html`<div class="line">${statusMark(status)}<strong>${error.title}</strong></div><p class="why">${error.detail}</p><p class="why mono small quiet">${error.code}</p>`;
  return html`<p class="verdict-line">${statusMark(status)}</p>
    <p class="why">${queue === null ? 'A worker has the prediction.' : `Position ${count(queue.position)} in the queue.`} The page follows the prediction. You can leave the page: the prediction continues.</p>`;
}

function cacheSentence({ status }: Prediction, cacheStatus: string, { cache, deterministic }: Version): Markup {
  const say = (lead: string, rest: string) => html`<b class="strong">${lead}</b> ${rest}`;
  const ttl = /ttl=(\d+)/.exec(cacheStatus)?.[1];
  if (/;\s*hit/.test(cacheStatus))
    return say(
      'From the cache.',
      ttl === undefined ? '' : `The cached output is valid for another ${duration(Number(ttl) * 1_000)}.`,
    );
  if (/collapsed/.test(cacheStatus))
    return say('Shared.', 'An equal request was in progress, and both have its output.');
  if (/fwd=bypass/.test(cacheStatus))
    return say(
      'Not cached.',
      deterministic === false
        ? 'The model can return different outputs for equal inputs.'
        : 'The request or the model bypasses the cache.',
    );
  if (/stored(?!=)/.test(cacheStatus))
    return say('Computed and cached.', `Equal inputs are served from the cache for ${duration(cache.ttl_s * 1_000)}.`);
  if (status === 'succeeded' && cache.enabled) return say('Computed.', 'Equal inputs are served from the cache now.');
  return say(
    status === 'succeeded' ? 'Computed.' : 'Not cached.',
    status === 'succeeded' ? '' : 'The prediction has no output yet.',
  );
}

/** A hit ran nothing: the browser's own measurement is its whole time. */
function waterfallOf({ prediction, cacheStatus, tookMs }: RunResult): Markup {
  if (/;\s*hit/.test(cacheStatus))
    return tookMs === null
      ? null
      : panel(millis(tookMs), waterfall([{ name: 'Look-up and network', kind: 'work', fromMs: 0, tookMs }]));
  const stages = stagesOf(prediction);
  if (stages.length === 0) return null;
  const end = Math.max(...stages.map(({ fromMs, tookMs: took }) => fromMs + took));
  const rest = tookMs === null ? 0 : Math.max(0, tookMs - end);
  const all =
    rest > 0 ? [...stages, { name: 'Network, browser', kind: 'sent' as const, fromMs: end, tookMs: rest }] : stages;
  return panel(millis(end + rest), waterfall(all));
}

const panel = (total: string, content: Markup): Markup =>
  html`<div class="sheet-body"><div class="label-row"><h2>Time per stage</h2><p>${total} ms in total</p></div>${content}</div>`;

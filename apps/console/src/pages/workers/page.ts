/** The workers with their last reports, engines and held predictions. The address selects one worker. */
import { go, href, setQuery } from '../../core/address.ts';
import { get } from '../../core/api.ts';
import { useData } from '../../core/data.ts';
import { count, counted, megabytes, number } from '../../core/format.ts';
import type { Engine, Worker } from '../../core/operator-types.ts';
import type { PageProps } from '../../core/page-props.ts';
import { useShortcuts } from '../../core/shortcuts.ts';
import type { List } from '../../core/types.ts';
import { copyButton } from '../../ui/code.ts';
import { html, type Markup } from '../../ui/html.ts';
import { icon } from '../../ui/icon.ts';
import { page, pageHead } from '../../ui/page.ts';
import { pager } from '../../ui/pager.ts';
import { emptyState, noAccess, problemState, skeleton, staleNotice } from '../../ui/states.ts';
import { time } from '../../ui/time.ts';
import { namesOf, workerStatus, workerTable } from '../../ui/worker-table.ts';

const LIMIT = 50;
const LIVE_MS = 5_000;
const MODELS_SHOWN = 20;

export default function WorkersPage({ query }: PageProps): Markup {
  const chosen = query.get('worker');
  const cursor = query.get('cursor');
  const { data, problem, reload } = useData(
    `workers ${cursor}`,
    (signal) => get<List<Worker>>('/v1/workers', { limit: LIMIT, cursor }, signal),
    { everyMs: LIVE_MS },
  );
  useShortcuts({ escape: () => setQuery({ worker: null }) });
  const workers = data?.data ?? [];
  return page('Workers', [
    pageHead({
      title: data === undefined ? 'Workers' : titleOf(data),
      text: data === undefined ? null : sentenceOf(workers),
    }),
    staleNotice(data ? problem : undefined),
    content(),
  ]);

  function content(): Markup {
    if (problem?.status === 404 && data === undefined)
      return html`<section class="sheet block">${noAccess(problem)}</section>`;
    if (data === undefined)
      return html`<section class="sheet block" aria-label="Workers">${problem ? problemState(problem, reload) : skeleton(5)}</section>`;
    if (workers.length === 0) return html`<section class="sheet block" aria-label="Workers">${none()}</section>`;
    const worker = workers.find(({ id }) => id === chosen);
    const list = html`<div class="list">${workerTable({ workers, chosen: worker === undefined ? null : chosen })}${pager({ path: '/workers', query, next: data.next, note: `By id, ${LIMIT} on a page`, words: ['First', 'Next'] })}</div>`;
    if (worker === undefined)
      return html`<section class="sheet block" aria-label="Workers">${list}</section>${chosen === null ? null : gone(chosen)}`;
    return html`<div class="master one block">${list}${detail(worker, namesOf(workers).get(worker.id) ?? worker.host)}</div>`;
  }
}

function titleOf({ data, has_more }: List<Worker>): string {
  const counts = Map.groupBy(data, ({ status }) => status);
  const stale = counts.get('stale')?.length ?? 0;
  const running = counts.get('running')?.length ?? 0;
  if (data.length === 0 || running === 0) return 'No worker runs';
  const many = has_more ? `More than ${counted(data.length, 'worker')}` : counted(running, 'worker');
  if (stale > 0) return `${many} running, ${stale} without a report`;
  const draining = counts.get('draining')?.length ?? 0;
  return draining > 0 ? `${many} running, ${draining} stopping` : `${many} running`;
}

function sentenceOf(workers: readonly Worker[]): string {
  const running = workers.filter(({ status }) => status !== 'stale');
  const sum = (read: (worker: Worker) => number) => running.reduce((total, worker) => total + read(worker), 0);
  const held = sum(({ held: waiting }) => waiting);
  return `${number(sum(({ rows_per_s }) => rows_per_s))} rows per second, ${counted(held, 'prediction')} held, ${megabytes(sum(({ memory_bytes }) => memory_bytes))} MB of memory.`;
}

const none = (): Markup =>
  emptyState(
    'No worker runs',
    html`<p>Predictions wait until a worker starts. Start one with <code>npm run start:worker</code>. No accepted prediction is lost.</p>`,
  );

const gone = (id: string): Markup =>
  html`<div class="notice block" role="status">${icon('info')}<p>The worker <span class="mono">${id}</span> has stopped. A worker that stops leaves the list.</p></div>`;

function detail(worker: Worker, name: string): Markup {
  const { id, status, roles, providers, held, rows_per_s, memory_bytes, release, host, started_at, seen_at } = worker;
  return html`<section class="detail" aria-labelledby="worker-h">
    <div class="sheet-head"><h2 id="worker-h" class="cut">${name}</h2>${workerStatus(status)}
      <button class="button tiny only plain push" type="button" aria-label="Close" onClick=${() => go(href('/workers'))}>${icon('x')}</button></div>
    ${status === 'stale' ? html`<div class="notice failed block in-detail">${icon('warn')}<p>No report since ${time(seen_at)}. The process hangs, or has died. Other workers take its predictions.</p></div>` : null}
    <div class="sheet-body"><dl class="pairs" aria-label="Worker">
      <dt>Id</dt><dd class="line"><span class="mono cut" title=${id}>${id}</span>${copyButton(id, 'Copy id')}</dd>
      <dt>Host</dt><dd>${host}</dd>
      <dt>Release</dt><dd>${release}</dd>
      <dt>Roles</dt><dd>${roles.join(', ')}</dd>
      <dt>Providers</dt><dd>${providers.length === 0 ? '–' : providers.join(', ')}</dd>
      <dd class="rule"></dd>
      <dt>Memory</dt><dd>${megabytes(memory_bytes)} MB</dd>
      <dt>Held</dt><dd>${counted(held, 'prediction')}</dd>
      <dt>Rate</dt><dd>${number(rows_per_s)} rows/s</dd>
      <dt>Started</dt><dd>${time(started_at, { exact: true })}</dd>
      <dt>Last report</dt><dd>${time(seen_at)}</dd>
    </dl></div>
    ${enginesOf(worker)}
    ${modelsOf(worker)}
  </section>`;
}

const ENGINE_STATUS: Readonly<Record<string, string>> = {
  busy: 'running',
  idle: 'ready',
  starting: 'loading',
  stopped: 'canceled',
};

function enginesOf({ engines }: Worker): Markup {
  if (engines.length === 0) return null;
  return html`<div class="sheet-head lined"><h3>Engines</h3><p>${counted(engines.length, 'loaded version')}</p></div>
    <div class="table flush"><table aria-label="Engines"><colgroup><col /><col width="60" /><col width="92" /><col width="96" /></colgroup>
      <thead><tr><th scope="col">Model</th><th scope="col">Runs on</th><th scope="col">State</th><th scope="col" class="num">Memory, MB</th></tr></thead>
      <tbody>${engines.map(engineRow)}</tbody></table></div>`;
}

function engineRow({ model, version, provider, status, memory_bytes }: Engine): Markup {
  const name =
    model === null
      ? html`<span class="zero">none loaded</span>`
      : html`<a href=${href(`/models/${encodeURIComponent(model)}`)} title=${model}>${model}</a> <span class="quiet">${version}</span>`;
  return html`<tr><td class="cut">${name}</td><td class="second">${provider.toUpperCase()}</td><td class=${`status-cell ${ENGINE_STATUS[status] ?? ''}`}>${status}</td>
    <td class="num">${memory_bytes === null ? html`<span class="zero">–</span>` : megabytes(memory_bytes)}</td></tr>`;
}

function modelsOf({ models }: Worker): Markup {
  if (models.length === 0) return null;
  const shown = models.slice(0, MODELS_SHOWN);
  return html`<div class="sheet-head lined"><h3>Can run</h3><p>${counted(models.length, 'version')}</p></div>
    <p class="sheet-body second">${shown.map(({ name, version }, at) => html`${at === 0 ? '' : ', '}${name} <span class="quiet">${version}</span>`)}${models.length > shown.length ? ` and ${count(models.length - shown.length)} more` : ''}</p>`;
}

/** The overview: whether the system keeps up, the problems that a person must solve, six charts, models and workers. */
import { href, setQuery } from '../../core/address.ts';
import { useData } from '../../core/data.ts';
import { counted, exactTime } from '../../core/format.ts';
import type { PageProps } from '../../core/page-props.ts';
import { useShortcuts } from '../../core/shortcuts.ts';
import { CHART_RANGES, FIRST_RANGE, loadSteps, rangeOf } from '../../core/stats.ts';
import { h, html, type Markup } from '../../ui/html.ts';
import { icon } from '../../ui/icon.ts';
import { page, pageHead } from '../../ui/page.ts';
import { problemState, skeleton, staleNotice } from '../../ui/states.ts';
import { workerTable } from '../../ui/worker-table.ts';
import { Charts } from './charts.ts';
import { loadModels, loadSystem, type SystemData } from './data.ts';
import { type Finding, findingOf } from './finding.ts';
import { modelsSheet } from './models.ts';
import { needs } from './needs.ts';

const LIVE_MS = 5_000;
const MODELS_MS = 15_000;

export default function OverviewPage({ query }: PageProps): Markup {
  const key = query.get('range') ?? FIRST_RANGE;
  const range = rangeOf(key);
  const model = query.get('model') ?? undefined;
  const live = query.get('live') !== 'off';
  const setRange = (name: string) => setQuery({ range: name === FIRST_RANGE ? null : name });
  const setLive = () => setQuery({ live: live ? 'off' : null });
  useShortcuts({
    l: setLive,
    ...Object.fromEntries(Object.keys(CHART_RANGES).map((name, at) => [String(at + 1), () => setRange(name)])),
  });
  const every = (ms: number) => ({ everyMs: live ? ms : null });
  const request = { spanMs: range.spanMs, stepS: range.stepS, model };
  const stats = useData(`stats ${key} ${model}`, (signal) => loadSteps(request, signal), every(LIVE_MS));
  const system = useData('system', loadSystem, every(LIVE_MS));
  const models = useData(`models ${key}`, (signal) => loadModels(range, signal), every(MODELS_MS));
  const finding = stats.data && findingOf({ steps: stats.data, range, model, system: system.data });
  const workers = system.data?.workers;
  return page('Overview', [
    pageHead({
      title: finding?.title ?? (stats.problem ? 'The history is not available' : 'Overview'),
      before: finding && finding.kind !== 'ok' ? mark(finding) : null,
      text:
        finding?.text ??
        (stats.problem
          ? 'The figures below show the parts that respond.'
          : html`<span class="sr">Loading</span>\u00a0`),
      actions: html`${modelChoice(model, models.data?.rows.map(({ stats: { model: name } }) => name) ?? [])}${rangeButtons(key, setRange)}${liveButton({ live, since: stats.since, toggle: setLive })}`,
    }),
    needs(system.data, stats.data),
    staleNotice(stats.data ? stats.problem : undefined),
    stats.data
      ? h(Charts, { steps: stats.data, range, model, workers })
      : html`<div class="sheet block">${stats.problem ? problemState(stats.problem, stats.reload) : skeleton(9)}</div>`,
    models.data
      ? modelsSheet(models.data, range)
      : html`<section class="sheet" aria-label="Models">${models.problem ? problemState(models.problem, models.reload) : skeleton(5)}</section>`,
    workers === undefined ? null : workersSheet(workers),
  ]);
}

const mark = ({ kind }: Finding): Markup =>
  html`<span class=${`status ${kind === 'failed' ? 'failed' : 'waiting'} big`}>${icon(kind === 'failed' ? 'fail' : 'clock')}</span>`;

const rangeButtons = (chosen: string, set: (name: string) => void): Markup =>
  html`<div class="segments" role="group" aria-label="Time range">${Object.entries(CHART_RANGES).map(
    ([name, { word }], at) =>
      html`<button type="button" aria-pressed=${String(rangeOf(chosen).word === word)} aria-keyshortcuts=${String(at + 1)} onClick=${() => set(name)}>${word}</button>`,
  )}</div>`;

interface LiveProps {
  live: boolean;
  /** When the last data arrived. */
  since: number | undefined;
  toggle: () => void;
}

/** A stopped view states the time of its data. */
function liveButton({ live, since, toggle }: LiveProps): Markup {
  const stopped = since === undefined ? 'Stopped' : `Stopped at ${exactTime(new Date(since))}`;
  return html`<button class="button live" type="button" aria-pressed=${String(live)} aria-keyshortcuts="L" onClick=${toggle}><span class="dot"></span>${live ? 'Live' : stopped}</button>`;
}

/** The charts of one model. The table below keeps all models. */
function modelChoice(chosen: string | undefined, known: readonly string[]): Markup {
  const names = chosen === undefined || known.includes(chosen) ? known : [...known, chosen];
  const choose = (event: Event) => setQuery({ model: (event.currentTarget as HTMLSelectElement).value });
  return html`<label class="chip select-chip"><i>Model:</i><select value=${chosen ?? ''} onChange=${choose}>
    <option value="">all</option>${names.map((name) => html`<option value=${name}>${name}</option>`)}</select>${icon('down')}</label>`;
}

function workersSheet(workers: NonNullable<SystemData['workers']>): Markup {
  const engines = new Set(workers.flatMap(({ engines: all }) => all.map(({ provider }) => provider.toUpperCase())));
  const count = workers.reduce((sum, { engines: all }) => sum + all.filter(({ model }) => model !== null).length, 0);
  const on = engines.size === 0 ? '' : ` on ${[...engines].join(' and ')}`;
  return html`<section class="sheet" id="workers" aria-labelledby="workers-h">
    <div class="sheet-head"><h2 id="workers-h">Workers and engines</h2><p>${counted(workers.length, 'worker')}, ${counted(count, 'loaded version')}${on}</p><a class="push small" href=${href('/workers')}>All workers</a></div>
    ${workers.length === 0 ? html`<p class="sheet-body quiet">No worker runs. Start one with <code>npm run start:worker</code>.</p>` : workerTable({ workers, flush: true })}
  </section>`;
}

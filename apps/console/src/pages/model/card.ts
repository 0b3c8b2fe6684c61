/** The card of a model: README.md beside the model, its figures and its signature. */
import { get } from '../../core/api.ts';
import { useData } from '../../core/data.ts';
import { count, duration } from '../../core/format.ts';
import type { Card as CardData, Tensor, Version } from '../../core/types.ts';
import { jsonBlock } from '../../ui/code.ts';
import { html, type Markup } from '../../ui/html.ts';
import { icon } from '../../ui/icon.ts';
import { emptyState, problemState, skeleton } from '../../ui/states.ts';
import type { ModelData } from './model-data.ts';

interface LoadedCard {
  card: CardData;
  /** The renderer comes with the first card: no other page needs the renderer. */
  markdown: typeof import('../../ui/markdown.ts').markdown;
}

async function load(model: string, version: string, signal: AbortSignal): Promise<LoadedCard> {
  const path = `/v1/models/${encodeURIComponent(model)}/versions/${encodeURIComponent(version)}/card`;
  const [card, { markdown }] = await Promise.all([get<CardData>(path, {}, signal), import('../../ui/markdown.ts')]);
  return { card, markdown };
}

export function Card({ data }: { data: ModelData }): Markup {
  const { model, versions, entities } = data;
  const version = versions.find((known) => known.version === model.default_version) ?? versions[0];
  const name = version?.version ?? '';
  const loaded = useData(version === undefined ? null : `card ${model.name} ${name}`, (signal) =>
    load(model.name, name, signal),
  );
  if (version === undefined) return emptyState('No version', html`<p>The model has no version.</p>`);
  return html`<div class="aside near"><div>${content()}</div>${signature(version, entities)}</div>`;

  function content(): Markup {
    if (loaded.data === undefined) return loaded.problem ? problemState(loaded.problem, loaded.reload) : skeleton(8);
    const { card, markdown } = loaded.data;
    return [
      card.readme === null
        ? noReadme(model.name)
        : html`<article class="prose">${markdown(withoutTitle(card.readme, model.name), card.images)}</article>`,
      card.figures === null
        ? null
        : html`<details class="choices figures-json"><summary>${icon('right')}<span>All figures of metrics.json</span></summary>${jsonBlock(card.figures, 'Figures', 'boxed')}</details>`,
    ];
  }
}

/** The page has the name of the model as its title. */
const withoutTitle = (readme: string, name: string): string => {
  const [first = '', ...rest] = readme.split('\n');
  return first.replace(/^#\s*/, '').trim() === name ? rest.join('\n') : readme;
};

const noReadme = (model: string): Markup =>
  emptyState(
    'No card yet',
    html`<p>Put a README.md at <span class="mono">models/${model}/README.md</span>. A worker reads the file within seconds. Millrace also shows the images that the file names, and the figures of <span class="mono">metrics.json</span>.</p>`,
  );

const signature = (
  version: Version,
  entities: readonly string[],
): Markup => html`<dl class="pairs" aria-label="Signature">
  ${tensors('Inputs', version.inputs)}${tensors('Outputs', version.outputs)}
  <dd class="rule"></dd>
  <dt>Rows</dt><dd title=${version.row_independent_reason}>${version.row_independent ? 'independent' : 'run together'}</dd>
  <dt>Deterministic</dt><dd title=${version.deterministic_reason}>${version.deterministic === null ? 'not verified' : version.deterministic ? 'yes' : 'no'}</dd>
  <dt>Micro-batch</dt><dd>at most ${count(version.max_run_rows)} rows</dd>
  <dt>Time limit</dt><dd>${duration(version.timeout_ms)}</dd>
  <dt>Cache</dt><dd>${version.cache.enabled ? `${duration(version.cache.ttl_s * 1_000)}, ${version.cache.scope}` : 'off'}</dd>
  ${entities.length > 0 ? html`<dt>Entities</dt><dd>${entities.join(', ')}</dd>` : null}
  <dt>Digest</dt><dd class="mono small">${version.digest.slice(0, 16)}</dd>
</dl>`;

const tensors = (title: string, list: readonly Tensor[]): Markup =>
  html`<dt>${title}</dt><dd>${list.map(({ name, dtype, shape }) => html`<div>${name} <span class="quiet mono">${dtype} [${shape.join(', ')}]</span></div>`)}</dd>`;

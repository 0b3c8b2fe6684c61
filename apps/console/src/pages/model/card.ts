/** The card of a model: README.md beside the model, its figures and its signature. */
import { count, duration } from '../../core/format.ts';
import type { Tensor } from '../../core/types.ts';
import { html, type Markup } from '../../ui/html.ts';
import { emptyState } from '../../ui/states.ts';
import type { ModelData } from './model-data.ts';

export function Card({ data }: { data: ModelData }): Markup {
  const { model, versions, entities } = data;
  const version = versions.find((known) => known.version === model.default_version) ?? versions[0];
  if (version === undefined) return emptyState('No version', html`<p>The model has no version.</p>`);
  return html`<div class="aside near">
    <p>${version.description}</p>
    <dl class="pairs" aria-label="Signature">
      ${tensors('Inputs', version.inputs)}${tensors('Outputs', version.outputs)}
      <dd class="rule"></dd>
      <dt>Rows</dt><dd title=${version.row_independent_reason}>${version.row_independent ? 'independent' : 'run together'}</dd>
      <dt>Deterministic</dt><dd title=${version.deterministic_reason}>${version.deterministic === null ? 'not verified' : version.deterministic ? 'yes' : 'no'}</dd>
      <dt>Micro-batch</dt><dd>at most ${count(version.max_run_rows)} rows</dd>
      <dt>Time limit</dt><dd>${duration(version.timeout_ms)}</dd>
      <dt>Cache</dt><dd>${version.cache.enabled ? `${duration(version.cache.ttl_s * 1_000)}, ${version.cache.scope}` : 'off'}</dd>
      ${entities.length > 0 ? html`<dt>Entities</dt><dd>${entities.join(', ')}</dd>` : null}
      <dt>Digest</dt><dd class="mono small">${version.digest}</dd>
    </dl>
  </div>`;
}

const tensors = (title: string, list: readonly Tensor[]): Markup =>
  html`<dt>${title}</dt><dd>${list.map(({ name, dtype, shape }) => html`<div>${name} <span class="quiet mono">${dtype} [${shape.join(', ')}]</span></div>`)}</dd>`;

/** The list of models. */
import { useEffect, useState } from 'preact/hooks';
import { href, setQuery } from '../../core/address.ts';
import { get } from '../../core/api.ts';
import { useData } from '../../core/data.ts';
import { counted } from '../../core/format.ts';
import type { PageProps } from '../../core/page-props.ts';
import type { List, Model } from '../../core/types.ts';
import { html, type Markup } from '../../ui/html.ts';
import { icon } from '../../ui/icon.ts';
import { page, pageHead } from '../../ui/page.ts';
import { pager } from '../../ui/pager.ts';
import { emptyState, problemState, skeleton, staleNotice } from '../../ui/states.ts';
import { statusMark } from '../../ui/status.ts';

const LIMIT = 50;
const TYPING_MS = 200;

export default function ModelsPage({ query }: PageProps): Markup {
  const q = query.get('q') ?? '';
  const cursor = query.get('cursor');
  const { data, problem, reload } = useData(
    `models ${q} ${cursor}`,
    (signal) => get<List<Model>>('/v1/models', { q, cursor, limit: LIMIT }, signal),
    { everyMs: 10_000 },
  );
  const broken = data?.data.filter((model) => model.problem !== null || model.default_version === null) ?? [];
  return page('Models', [
    pageHead({
      title: title(data, broken),
      text: 'Choose a model to run it in the browser, or to read its card and its versions.',
    }),
    search(q),
    staleNotice(data ? problem : undefined),
    html`<section class="sheet block" aria-label="Models">${content()}</section>`,
  ]);

  function content(): Markup {
    if (data === undefined) return problem ? problemState(problem, reload) : skeleton(6);
    if (data.data.length === 0)
      return q === ''
        ? noModels()
        : emptyState(
            'No model has this name',
            html`<p>No name or description of a model contains “${q}”.</p>`,
            html`<a class="button" href=${href('/models')}>All models</a>`,
          );
    return [
      html`<div class="table cards"><table aria-label="Models">
        <colgroup><col width="300" /><col width="130" /><col width="210" class="o1" /><col /></colgroup>
        <thead><tr><th scope="col">Model</th><th scope="col">State</th><th scope="col" class="o1">Aliases</th><th scope="col">Description</th></tr></thead>
        <tbody>${data.data.map(row)}</tbody>
      </table></div>`,
      pager({ path: '/models', query, next: data.next, note: `By name, ${LIMIT} on a page`, words: ['First', 'Next'] }),
    ];
  }
}

function title(data: List<Model> | undefined, broken: readonly Model[]): string {
  if (data === undefined) return 'Models';
  const many = data.has_more ? `More than ${counted(data.data.length, 'model')}` : counted(data.data.length, 'model');
  if (broken.length === 0) return `${many}, all serving`;
  return `${many}, ${broken.length} with a problem`;
}

function row(model: Model): Markup {
  const serving = model.default_version !== null;
  return html`<tr key=${model.name}>
    <td class="lead cut"><a class="row-link strong" href=${href(`/models/${model.name}`)} title=${model.name}>${model.name}</a></td>
    <td class="end">${statusMark(serving ? 'ready' : 'failed')}</td>
    <td class="o1">${Object.entries(model.aliases).map(
      ([alias, version]) => html`<span class="pill chosen">${icon('promote')}${alias} → ${version}</span> `,
    )}${Object.keys(model.aliases).length === 0 && serving ? html`<span class="quiet">version ${model.default_version}</span>` : null}</td>
    <td class=${`cut across ${model.problem === null ? 'second' : 'fail'}`} title=${model.problem ?? model.description}>${model.problem ?? model.description}</td>
  </tr>`;
}

const noModels = (): Markup =>
  emptyState(
    'No model yet',
    html`<p>Put an ONNX file at <span class="mono">models/NAME/1/model.onnx</span>, or run <code>npm run models -- add FILE --name NAME</code>. A worker serves
      the model within seconds.</p>`,
  );

/** The text goes to the address when the reader pauses, and the data follow the address. */
function search(q: string): Markup {
  const [text, setText] = useState(q);
  useEffect(() => setText(q), [q]);
  useEffect(() => {
    if (text === q) return;
    const timer = setTimeout(() => setQuery({ q: text, cursor: null }, { replace: true }), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return html`<div class="filters" role="search">
    <div class="search">${icon('search')}
      <input class="input" type="text" aria-label="Search models by name or description" placeholder="Name or description" spellcheck="false" autocomplete="off"
        value=${text} onInput=${(event: InputEvent) => setText((event.currentTarget as HTMLInputElement).value)} /><kbd aria-hidden="true">/</kbd></div>
  </div>`;
}

/** A model: the form with its output, the card, and the versions. */
import { setQuery } from '../../core/address.ts';
import { useData } from '../../core/data.ts';
import type { PageProps } from '../../core/page-props.ts';
import type { Model } from '../../core/types.ts';
import { h, html, type Markup } from '../../ui/html.ts';
import { icon } from '../../ui/icon.ts';
import { page, pageHead } from '../../ui/page.ts';
import { problemState, skeleton } from '../../ui/states.ts';
import { statusMark } from '../../ui/status.ts';
import { tabList, tabPanel } from '../../ui/tabs.ts';
import { Actions } from './actions.ts';
import { Card } from './card.ts';
import { loadModel, type ModelData } from './model-data.ts';
import { Try } from './try.ts';
import { Versions } from './versions.ts';

const TABS = ['try', 'card', 'versions'] as const;
type TabName = (typeof TABS)[number];

export default function ModelPage({ params, query }: PageProps): Markup {
  const name = params.model ?? '';
  const { data, problem, reload } = useData(`model ${name}`, (signal) => loadModel(name, signal), { everyMs: 10_000 });
  if (data === undefined)
    return page(name, [html`<h1 class="sr">${name}</h1>`, problem ? problemState(problem, reload) : skeleton(8)]);
  const { model, versions } = data;
  const tab: TabName = TABS.find((known) => known === query.get('tab')) ?? 'try';
  const choose = (id: string) => setQuery({ tab: id === 'try' ? null : id });
  return page(name, [
    pageHead({
      title: name,
      after: html`${alias(model)}${model.default_version === null ? statusMark('failed', html` no version serves`) : null}`,
      text: model.description,
      actions: h(Actions, { data, changed: reload }),
    }),
    model.problem === null
      ? null
      : html`<div class="notice failed block" role="status">${icon('warn')}<p>${model.problem}</p></div>`,
    tabList({
      label: 'Model',
      chosen: tab,
      choose,
      tabs: [
        { id: 'try', title: 'Try' },
        { id: 'card', title: 'Model card' },
        { id: 'versions', title: html`Versions<span>${versions.length}</span>` },
      ],
    }),
    tabPanel(tab, content(tab, { data, query, changed: reload })),
  ]);
}

interface TabProps {
  data: ModelData;
  query: URLSearchParams;
  changed: () => void;
}

function content(tab: TabName, { data, query, changed }: TabProps): Markup {
  if (tab === 'card') return h(Card, { data });
  if (tab === 'versions') return h(Versions, { data, changed });
  return h(Try, { data, query });
}

function alias(model: Model): Markup {
  const { production } = model.aliases;
  if (production !== undefined)
    return html`<span class="pill chosen">${icon('promote')}production → ${production}</span>`;
  return model.default_version === null ? null : html`<span class="pill">version ${model.default_version}</span>`;
}

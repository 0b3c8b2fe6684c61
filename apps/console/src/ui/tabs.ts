/** Tabs whose choice is in the address. Arrows move between tabs. */
import { useRef } from 'preact/hooks';
import { h, html, type Markup } from './html.ts';

export interface Tab {
  id: string;
  title: Markup;
}

interface TabsProps {
  label: string;
  tabs: readonly Tab[];
  chosen: string;
  choose: (id: string) => void;
}

function Tabs({ label, tabs, chosen, choose }: TabsProps): Markup {
  const list = useRef<HTMLDivElement>(null);
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const at = tabs.findIndex(({ id }) => id === chosen);
    const next = tabs.at((at + step) % tabs.length);
    if (next === undefined) return;
    choose(next.id);
    list.current?.querySelector<HTMLElement>(`#tab-${next.id}`)?.focus();
  };
  return html`<div class="tabs" role="tablist" aria-label=${label} ref=${list} onKeyDown=${onKeyDown}>
    ${tabs.map(
      ({ id, title }) => html`<button
        role="tab" type="button" id=${`tab-${id}`} aria-controls="tab-panel" aria-selected=${String(id === chosen)}
        tabindex=${id === chosen ? 0 : -1} onClick=${() => choose(id)}>${title}</button>`,
    )}
  </div>`;
}

export const tabList = (props: TabsProps): Markup => h(Tabs, props);

export const tabPanel = (chosen: string, content: Markup): Markup =>
  html`<section role="tabpanel" id="tab-panel" aria-labelledby=${`tab-${chosen}`}>${content}</section>`;

/** The head of a page: the finding as the title, one sentence, and the actions. */
import { useEffect } from 'preact/hooks';
import { h, html, type Markup } from './html.ts';

interface HeadProps {
  title: Markup;
  /** Beside the title: a status, or pills. */
  before?: Markup;
  after?: Markup;
  text?: Markup;
  actions?: Markup;
}

export const pageHead = ({ title, before, after, text, actions }: HeadProps): Markup =>
  html`<div class="page-head">
    <div>
      <div class="line line-wrap">${before}<h1>${title}</h1>${after}</div>
      ${text ? html`<p>${text}</p>` : null}
    </div>
    ${actions ? html`<div class="actions">${actions}</div>` : null}
  </div>`;

/** `name` is the page's title in the tab and the history of the browser. */
function Page({ name, children }: { name: string; children: Markup }): Markup {
  useEffect(() => {
    document.title = `${name} · Millrace`;
  }, [name]);
  return html`<main class="page" id="main" tabindex="-1">${children}</main>`;
}

export const page = (name: string, children: Markup): Markup => h(Page, { name, children });

/** The line below a list, with the buttons to the first and the next page. The address has the cursor, so the back button of the browser works. */
import { go, href, withQuery } from '../core/address.ts';
import { html, type Markup } from './html.ts';
import { icon } from './icon.ts';

interface PagerProps {
  path: string;
  query: URLSearchParams;
  next: string | null;
  note: Markup;
  words?: readonly [first: string, next: string];
}

export function pager({ path, query, next, note, words = ['Newest', 'Older'] }: PagerProps): Markup {
  const paged = query.has('cursor');
  const first = href(path, withQuery(query, { cursor: null }));
  if (!paged && next === null) return html`<div class="pages"><span>${note}</span></div>`;
  return html`<nav class="pages" aria-label="Pages"><span class="o2">${note}</span><span class="push"></span>
    <button class="button tiny" type="button" disabled=${!paged} onClick=${() => go(first)}>${icon('left')}${words[0]}</button>
    <button class="button tiny" type="button" disabled=${next === null} onClick=${() => next !== null && go(href(path, withQuery(query, { cursor: next })))}>${words[1]}${icon('right')}</button>
  </nav>`;
}

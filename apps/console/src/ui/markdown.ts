/**
 * Shows Markdown of a stranger. The text becomes tokens, and each known token becomes an element: no text is ever read as HTML, and a
 * link leads only to a web address.
 */
import { type MarkedToken, marked, type Token, type Tokens } from 'marked';
import { codeBlock } from './code.ts';
import { html, type Markup } from './html.ts';

/** Path to data URI. */
export type Images = Readonly<Record<string, string>>;

export function markdown(text: string, images: Images): Markup {
  const tokens = marked.lexer(text, { gfm: true });
  let number = 0;
  void marked.walkTokens(tokens, (token) => {
    if (token.type === 'code' || token.type === 'table') numbers.set(token, ++number);
  });
  return blocks(tokens, images);
}

/** The numbers of the code blocks and tables of a text: each region of a page needs a different name. */
const numbers = new WeakMap<object, number>();
const labelOf = (token: object, name: string): string => `${name}, part ${numbers.get(token) ?? 1}`;

const blocks = (tokens: readonly Token[], images: Images): Markup =>
  tokens.map((token) => block(token as MarkedToken, images));
const spans = (tokens: readonly Token[] | undefined, images: Images): Markup =>
  tokens?.map((token) => span(token as MarkedToken, images));

function block(token: MarkedToken, images: Images): Markup {
  switch (token.type) {
    case 'heading':
      return heading(token, images);
    case 'paragraph':
      return html`<p>${spans(token.tokens, images)}</p>`;
    case 'code':
      return codeBlock({
        text: token.text,
        label: labelOf(token, token.lang ? `Code in ${token.lang}` : 'Code'),
        className: 'boxed',
      });
    case 'blockquote':
      return html`<blockquote>${blocks(token.tokens, images)}</blockquote>`;
    case 'list':
      return list(token, images);
    case 'table':
      return table(token, images);
    case 'hr':
      return html`<hr />`;
    case 'space':
    case 'def':
      return null;
    case 'text':
      return token.tokens ? spans(token.tokens, images) : token.text;
    default:
      return html`<p>${token.raw}</p>`;
  }
}

/** The title of the page is the only heading of the first level. */
function heading({ depth, tokens }: Tokens.Heading, images: Images): Markup {
  const content = spans(tokens, images);
  if (depth <= 2) return html`<h2>${content}</h2>`;
  return depth === 3 ? html`<h3>${content}</h3>` : html`<h4>${content}</h4>`;
}

function list({ ordered, start, items }: Tokens.List, images: Images): Markup {
  const rows = items.map((item) => html`<li>${blocks(item.tokens, images)}</li>`);
  return ordered ? html`<ol start=${start === '' ? undefined : start}>${rows}</ol>` : html`<ul>${rows}</ul>`;
}

function table(token: Tokens.Table, images: Images): Markup {
  const { header, rows, align } = token;
  const isNumber = (at: number) =>
    align[at] === 'right' || (at > 0 && rows.every((row) => /^[\s\d.,±–-]*$/.test(row[at]?.text ?? '')));
  const classOf = (at: number) => (isNumber(at) ? 'num' : '');
  return html`<div class="table flush wide" tabindex="0" role="region" aria-label=${labelOf(token, 'Table')}><table>
    <thead><tr>${header.map((cell, at) => html`<th scope="col" class=${classOf(at)}>${spans(cell.tokens, images)}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr>${row.map((cell, at) => html`<td class=${classOf(at)}>${spans(cell.tokens, images)}</td>`)}</tr>`)}</tbody>
  </table></div>`;
}

function span(token: MarkedToken, images: Images): Markup {
  switch (token.type) {
    case 'strong':
      return html`<strong>${spans(token.tokens, images)}</strong>`;
    case 'em':
      return html`<em>${spans(token.tokens, images)}</em>`;
    case 'del':
      return html`<del>${spans(token.tokens, images)}</del>`;
    case 'codespan':
      return html`<code>${token.text}</code>`;
    case 'br':
      return html`<br />`;
    case 'link':
      return link(token, images);
    case 'image':
      return picture(token, images);
    case 'text':
      return token.tokens ? spans(token.tokens, images) : plain(token.text);
    case 'escape':
      return token.text;
    default:
      return token.raw;
  }
}

/** A relative link leads to a file beside the README, which no address has. */
function link({ href, tokens }: Tokens.Link, images: Images): Markup {
  const content = spans(tokens, images);
  if (!/^https?:\/\//i.test(href)) return content;
  return html`<a href=${href} target="_blank" rel="noopener noreferrer">${content}</a>`;
}

/** Only images beside the README are shown: an image of another host would send the reader's address there. */
function picture({ href, text }: Tokens.Image, images: Images): Markup {
  const source = Object.hasOwn(images, href) ? images[href] : undefined;
  return source === undefined
    ? html`<em>${text}</em>`
    : html`<img class="picture" src=${source} alt=${text} loading="lazy" />`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&#39;': "'",
};
/** Texts of the lexer have escaped characters. */
const plain = (text: string): string =>
  text.replaceAll(/&(?:amp|lt|gt|quot|#39);/g, (entity) => ENTITIES[entity] ?? entity);

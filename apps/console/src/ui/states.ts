/** The states of every list, chart and page beside the ready state: loading, empty, error and no access. */
import { useEffect, useState } from 'preact/hooks';
import type { ApiProblem } from '../core/api.ts';
import { h, html, type Markup } from './html.ts';
import { type IconName, icon } from './icon.ts';

/** A skeleton appears after this time, so that a fast response shows no skeleton. */
const LATE_MS = 150;

interface LateProps {
  children: Markup;
}

function Late({ children }: LateProps): Markup {
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), LATE_MS);
    return () => clearTimeout(timer);
  }, []);
  return html`<div class=${late ? 'late' : 'late waiting'} aria-hidden="true">${children}</div>`;
}

/** Lines in the heights of the content. Readers of the screen hear one word. */
export const skeleton = (lines: number, className = 'bones'): Markup => {
  const widths = ['w3', 'w4', 'w2', 'w3', 'w1'];
  const bones = Array.from({ length: lines }, (_, line) => html`<i class=${`bone ${widths[line % widths.length]}`} />`);
  return html`<div class=${className} role="status"><span class="sr">Loading</span>${h(Late, { children: bones })}</div>`;
};

interface StateProps {
  title: string;
  children: Markup;
  picture?: IconName;
  kind?: 'failed' | '';
  actions?: Markup;
}

const stateBlock = ({ title, children, picture = 'info', kind = '', actions }: StateProps): Markup =>
  html`<div class=${`state ${kind}`}>${icon(picture)}<h2>${title}</h2>${children}${actions ? html`<div class="actions">${actions}</div>` : null}</div>`;

/** The reason, and the nearest view with results. */
export const emptyState = (title: string, children: Markup, actions?: Markup): Markup =>
  stateBlock({ title, children, picture: 'search', actions });

export function problemState(problem: ApiProblem, retry: () => void): Markup {
  if (problem.status === 403 || problem.status === 401) return noAccess(problem);
  const later = problem.code === 'unreachable' || problem.status >= 500;
  const note = later ? html`<p>No accepted prediction is lost. The console tries again every 5 s.</p>` : null;
  const title =
    problem.status === 404
      ? problem.title
      : problem.status === 0
        ? problem.title
        : `${problem.title} (${problem.status})`;
  return html`<div role="alert">
    ${stateBlock({
      title,
      kind: 'failed',
      picture: problem.status === 404 ? 'search' : 'fail',
      children: html`<p>${problem.message}</p>${note}<p class="small quiet"><span class="mono">${problem.code}</span>${requestOf(problem)}</p>`,
      actions: html`<button class="button" type="button" onClick=${retry}>${icon('retry')}Try again</button>`,
    })}
  </div>`;
}

const requestOf = ({ requestId }: ApiProblem): Markup =>
  requestId === null ? null : html` · request <span class="mono">${requestId}</span>`;

export const noAccess = (problem: ApiProblem): Markup =>
  stateBlock({
    title: 'No access with this key',
    picture: 'lock',
    children: html`<p>${problem.message}</p><p>An administrator of this server creates keys with <code>npm run keys</code>.</p>`,
  });

/** A failure beside data that stay on the screen. */
export const staleNotice = (problem: ApiProblem | undefined): Markup =>
  problem === undefined
    ? null
    : html`<div class="notice failed block" role="status">${icon('fail')}<p>${problem.message} The page shows the last state.</p></div>`;

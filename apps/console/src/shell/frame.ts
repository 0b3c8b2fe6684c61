/** The frame of every page: the navigation at the left, the search at the top, and the keyboard shortcuts. */
import { useEffect, useState } from 'preact/hooks';
import { go, href } from '../core/address.ts';
import { call } from '../core/api.ts';
import { useShortcuts } from '../core/shortcuts.ts';
import type { Session } from '../core/types.ts';
import { h, html, type Markup } from '../ui/html.ts';
import { icon, mark } from '../ui/icon.ts';
import { switchExactTimes } from '../ui/time.ts';
import { Toasts } from '../ui/toast.ts';
import { navPages, PAGES } from './pages.ts';
import { palette } from './palette.ts';
import { type Problems, problemCount, useProblems } from './problems.ts';
import { shortcutsDialog } from './shortcuts-dialog.ts';

interface FrameProps {
  path: string;
  session: Session;
  signedOut: () => void;
  content: Markup;
}

type Open = 'palette' | 'shortcuts' | null;

function Frame({ path, session, signedOut, content }: FrameProps): Markup {
  const [open, setOpen] = useState<Open>(null);
  const [menu, setMenu] = useState(false);
  const problems = useProblems(session);
  useEffect(() => setMenu(false), [path]);
  useShortcuts({
    'ctrl+k': () => setOpen('palette'),
    '?': () => setOpen('shortcuts'),
    t: switchExactTimes,
    '/': () => focusSearch(),
    j: () => moveRow(1),
    k: () => moveRow(-1),
    ...Object.fromEntries(
      navPages(session).flatMap(({ nav, pattern }) => (nav ? [[`g ${nav.key}`, () => go(href(pattern))]] : [])),
    ),
  });
  const close = () => setOpen(null);
  return html`<a class="skip" href="#main">Skip to content</a>
    <div class="frame">
      ${rail({ path, session, problems, signedOut, open: menu, close: () => setMenu(false) })}
      <div class="column">
        <header class="top">
          <button class="button plain only menu-open" type="button" aria-label="Menu" aria-expanded=${String(menu)} aria-controls="rail"
            onClick=${() => setMenu(!menu)}>${icon('menu')}</button>
          <nav aria-label="Breadcrumb" class="cut" id="crumbs"><ol class="crumbs">${crumbs(path)}</ol></nav>
          <button class="find" type="button" aria-keyshortcuts="Control+K" onClick=${() => setOpen('palette')}>
            ${icon('search')}<span>Search or go to</span><kbd>Ctrl K</kbd>
          </button>
        </header>
        ${content}
      </div>
    </div>
    ${open === 'palette' ? palette({ session, close }) : null}
    ${open === 'shortcuts' ? shortcutsDialog(close) : null}
    ${h(Toasts, {})}`;
}

export const frame = (props: FrameProps): Markup => h(Frame, props);

interface RailProps {
  path: string;
  session: Session;
  problems: Problems;
  signedOut: () => void;
  open: boolean;
  close: () => void;
}

function rail({ path, session, problems, signedOut, open, close }: RailProps): Markup {
  const signOut = async () => {
    await call('/console/session', { method: 'DELETE' });
    signedOut();
  };
  const current = (pattern: string) => path === pattern || (pattern !== '/' && path.startsWith(`${pattern}/`));
  return html`<aside class=${`rail${open ? ' open' : ''}`} id="rail" aria-label="Millrace">
      <a class="brand" href=${href('/')}>${mark()}Millrace</a>
      <nav aria-label="Console"><ul>
        ${navPages(session).map(({ nav, pattern, title }) =>
          nav
            ? html`<li><a href=${href(pattern)} aria-current=${current(pattern) ? 'page' : undefined}>${icon(nav.icon)}${title}${problemCount(problems, pattern)}</a></li>`
            : null,
        )}
      </ul></nav>
      ${
        session.keys_required
          ? html`<div class="rail-foot"><b>${session.tenant}</b><span>Key <span class="mono">${session.key_prefix}</span></span>
              <button type="button" class="sign-out" onClick=${signOut}>Sign out</button></div>`
          : html`<div class="rail-foot"><span>This server requires no API keys.</span></div>`
      }
    </aside>
    ${open ? html`<button class="rail-scrim" type="button" aria-label="Close the menu" onClick=${close}></button>` : null}`;
}

function crumbs(path: string): Markup {
  const [, first = '', ...rest] = path.split('/');
  const section = PAGES.find(({ pattern }) => pattern === `/${first}`);
  if (section === undefined) return null;
  if (rest.length === 0)
    return html`<li class="cut"><span class="cut" aria-current="page">${section.title}</span></li>`;
  const last = decodeURIComponent(rest.join('/'));
  return html`<li><a href=${href(section.pattern)}>${section.title}</a></li>
    <li class="cut"><span class="cut" aria-current="page">${last}</span></li>`;
}

const focusSearch = () => document.querySelector<HTMLInputElement>('.search input')?.focus();

/** Moves the focus between the rows of the page. */
function moveRow(step: 1 | -1): void {
  const rows = [...document.querySelectorAll<HTMLElement>('.row-link')].filter((row) => row.offsetParent !== null);
  const at = rows.indexOf(document.activeElement as HTMLElement);
  rows[Math.min(Math.max(at + step, 0), rows.length - 1)]?.focus();
}

/** The whole console: the sign-in without a session, and otherwise the page of the address inside the frame. */
import type { FunctionComponent } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { go, href, useAddress } from '../core/address.ts';
import { get, whenSignedOut } from '../core/api.ts';
import { useData } from '../core/data.ts';
import type { PageProps } from '../core/page-props.ts';
import type { Session } from '../core/types.ts';
import { h, html, type Markup } from '../ui/html.ts';
import { emptyState, problemState, skeleton } from '../ui/states.ts';
import { frame } from './frame.ts';
import { HOME, matchPage, type PageEntry } from './pages.ts';
import { SignIn } from './sign-in.ts';

const SIGN_IN = '/sign-in';

export function App(): Markup {
  const { path, query } = useAddress();
  const session = useData('session', (signal) => get<Session>('/console/session', {}, signal));
  const { data, problem, reload } = session;
  useEffect(() => {
    whenSignedOut(() => {
      const here = location.pathname + location.search;
      if (!location.pathname.endsWith(SIGN_IN)) go(href(SIGN_IN, { to: here }), { replace: true });
      reload();
    });
  }, [reload]);

  if (problem && data === undefined) return html`<main class="page">${problemState(problem, reload)}</main>`;
  if (data === undefined) return html`<main class="page" aria-busy="true">${skeleton(4)}</main>`;
  const signedIn = data.tenant !== null;
  if (path === SIGN_IN || !signedIn) {
    if (signedIn) return h(Redirect, { to: target(query.get('to')) });
    const to = path === SIGN_IN ? target(query.get('to')) : location.pathname + location.search;
    return h(SignIn, { to, done: reload });
  }
  return h(SignedIn, { path, query, session: data, signedOut: reload });
}

/** Only an address of this server: a link must not lead a signed-in user to another site. */
function target(to: string | null): string {
  if (to === null) return href(HOME);
  const url = new URL(to, location.origin);
  return url.origin === location.origin ? url.pathname + url.search : href(HOME);
}

function Redirect({ to }: { to: string }): Markup {
  useEffect(() => go(to, { replace: true }), [to]);
  return null;
}

interface SignedInProps {
  path: string;
  query: URLSearchParams;
  session: Session;
  signedOut: () => void;
}

function SignedIn({ path, query, session, signedOut }: SignedInProps): Markup {
  const match = matchPage(path);
  const content = match
    ? h(LoadedPage, { entry: match.entry, params: match.params, query, session })
    : html`<main class="page" id="main" tabindex="-1">
        <h1 class="sr">Not found</h1>
        ${emptyState('This page does not exist', html`<p>The console has no page at <span class="mono">${path}</span>.</p>`, html`<a class="button" href=${href(HOME)}>Overview</a>`)}
      </main>`;
  return frame({ path, session, signedOut, content });
}

const loaded = new Map<string, FunctionComponent<PageProps>>();

function LoadedPage({ entry, params, query, session }: PageProps & { entry: PageEntry }): Markup {
  const [, draw] = useState({});
  const [failed, setFailed] = useState(false);
  const Page = loaded.get(entry.pattern);
  useEffect(() => {
    if (loaded.has(entry.pattern)) return;
    setFailed(false);
    entry.load().then(
      (module) => {
        loaded.set(entry.pattern, module.default);
        draw({});
      },
      () => setFailed(true),
    );
  }, [entry]);
  if (Page) return h(Page, { params, query, session, key: JSON.stringify(params) });
  if (!failed) return html`<main class="page" id="main" tabindex="-1" aria-busy="true">${skeleton(6)}</main>`;
  return html`<main class="page" id="main" tabindex="-1">
    <h1 class="sr">${entry.title}</h1>
    ${emptyState(
      'The page could not be loaded',
      html`<p>The server has been replaced by another version, or cannot be reached.</p>`,
      html`<button class="button" type="button" onClick=${() => location.reload()}>Load the console again</button>`,
    )}
  </main>`;
}

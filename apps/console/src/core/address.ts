/**
 * The address of the page, which has the whole state of the view: each filter, tab, range and selected row. `go` adds an entry to
 * the history, so the back button undoes the last step.
 */
import { useEffect, useState } from 'preact/hooks';

/** The path of the server before `/console`, without a final slash. */
export const base = document.documentElement.dataset.base ?? '';

const ROOT = `${base}/console`;

export interface Address {
  /** Below /console, such as `/models/drug-interaction`, and `/` for the first page. */
  path: string;
  query: URLSearchParams;
}

const read = (): Address => {
  const path = location.pathname.startsWith(ROOT) ? location.pathname.slice(ROOT.length) : '';
  return { path: path.replace(/\/$/, '') || '/', query: new URLSearchParams(location.search) };
};

type Changes = Readonly<Record<string, string | null | undefined>>;

/** The URL of a view. Parameters with null, undefined or '' are left out. */
export function href(path: string, changes: Changes = {}): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(changes)) if (value) query.set(name, value);
  const text = query.toString().replaceAll('%2C', ',').replaceAll('%3A', ':');
  return `${ROOT}${path === '/' ? '' : path}${text === '' ? '' : `?${text}`}`;
}

/** The present query with some parameters changed. */
export function withQuery(query: URLSearchParams, changes: Changes): Record<string, string> {
  const next = new Map(query);
  for (const [name, value] of Object.entries(changes)) {
    if (value) next.set(name, value);
    else next.delete(name);
  }
  return Object.fromEntries(next);
}

const listeners = new Set<() => void>();
const changed = () => {
  for (const listener of listeners) listener();
};
addEventListener('popstate', changed);

/** Shows the view of a URL. `replace`: without a new entry of the history. */
export function go(url: string, { replace = false } = {}): void {
  if (url === location.pathname + location.search + location.hash) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', url);
  changed();
}

/** Changes parameters of the present view. */
export function setQuery(changes: Changes, options?: { replace?: boolean }): void {
  const { path, query } = read();
  go(href(path, withQuery(query, changes)), options);
}

export function useAddress(): Address {
  const [address, setAddress] = useState(read);
  useEffect(() => {
    const listener = () => setAddress(read());
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, []);
  return address;
}

/** Links within the console change the view without a new page. Every other click stays with the browser. */
export function followLinks(): void {
  document.addEventListener('click', (event) => {
    if (
      event.defaultPrevented ||
      event.button !== 0 ||
      event.metaKey ||
      event.ctrlKey ||
      event.shiftKey ||
      event.altKey
    )
      return;
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    if (link === null || link.target !== '' || link.hasAttribute('download') || link.origin !== location.origin) return;
    const inside = link.pathname === ROOT || link.pathname.startsWith(`${ROOT}/`);
    if (!inside || (link.hash !== '' && link.pathname === location.pathname)) return;
    event.preventDefault();
    go(link.pathname + link.search);
    scrollTo(0, 0);
  });
}

/**
 * The pages of the console. A page is a folder with a module `page.ts`, which a browser loads when the page is first shown. The navigation
 * lists the pages with a `nav` in this order. Pages of tenants, keys, usage and bulk jobs get their entries with those capabilities.
 */
import type { FunctionComponent } from 'preact';
import type { PageProps } from '../core/page-props.ts';
import { isOperator } from '../core/session-rights.ts';
import type { Session } from '../core/types.ts';
import type { IconName } from '../ui/icon.ts';

export interface PageEntry {
  /** Such as `/models/:model`. */
  pattern: string;
  /** The words of the navigation and of the palette. */
  title: string;
  load: () => Promise<{ default: FunctionComponent<PageProps> }>;
  nav?: { icon: IconName /** The key after G. */; key: string };
  /** Only for the tenant that operates the server. */
  operators?: boolean;
}

export const PAGES: readonly PageEntry[] = [
  {
    pattern: '/',
    title: 'Overview',
    nav: { icon: 'overview', key: 'o' },
    load: () => import('../pages/overview/page.ts'),
  },
  {
    pattern: '/predictions',
    title: 'Predictions',
    nav: { icon: 'predictions', key: 'p' },
    load: () => import('../pages/predictions/page.ts'),
  },
  { pattern: '/predictions/:id', title: 'Prediction', load: () => import('../pages/prediction/page.ts') },
  {
    pattern: '/models',
    title: 'Models',
    nav: { icon: 'models', key: 'm' },
    load: () => import('../pages/models/page.ts'),
  },
  { pattern: '/models/:model', title: 'Model', load: () => import('../pages/model/page.ts') },
  {
    pattern: '/webhooks',
    title: 'Webhooks',
    nav: { icon: 'webhooks', key: 'w' },
    load: () => import('../pages/webhooks/page.ts'),
  },
  {
    pattern: '/workers',
    title: 'Workers',
    nav: { icon: 'workers', key: 'r' },
    operators: true,
    load: () => import('../pages/workers/page.ts'),
  },
];

/** The pages of the navigation of a session. */
export const navPages = (session: Session): PageEntry[] =>
  PAGES.filter(({ nav, operators = false }) => nav !== undefined && (!operators || isOperator(session)));

/** The first page of the console. */
export const HOME = '/';

export interface Match {
  entry: PageEntry;
  params: Record<string, string>;
}

export function matchPage(path: string): Match | undefined {
  for (const entry of PAGES) {
    const params = matchPattern(entry.pattern, path);
    if (params !== undefined) return { entry, params };
  }
  return undefined;
}

function matchPattern(pattern: string, path: string): Record<string, string> | undefined {
  const wanted = pattern.split('/');
  const parts = path.split('/');
  if (wanted.length !== parts.length) return undefined;
  const params: Record<string, string> = {};
  for (const [at, part] of wanted.entries()) {
    const given = parts[at] ?? '';
    if (part.startsWith(':')) {
      const decoded = decode(given);
      if (!decoded) return undefined;
      params[part.slice(1)] = decoded;
    } else if (part !== given) return undefined;
  }
  return params;
}

function decode(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

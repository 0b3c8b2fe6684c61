/** The number of problems of a page, beside its name in the navigation. */
import { get } from '../core/api.ts';
import { useData } from '../core/data.ts';
import type { Endpoint, Worker } from '../core/operator-types.ts';
import { isOperator } from '../core/session-rights.ts';
import type { List, Model, Session } from '../core/types.ts';
import { html, type Markup } from '../ui/html.ts';
import { icon } from '../ui/icon.ts';

const EVERY_MS = 30_000;
const LIMIT = 100;

export interface Problems {
  /** By the pattern of the page. */
  counts: ReadonlyMap<string, { count: number; more: boolean; words: string }>;
}

/** Counts the problems while the page is visible. A list that does not respond has no count: its own page states the reason. */
export function useProblems(session: Session): Problems {
  const { data } = useData('problems', (signal) => load(session, signal), { everyMs: EVERY_MS });
  return { counts: data ?? new Map() };
}

interface Counted<T> {
  /** The pattern of the page. */
  page: string;
  list: Promise<List<T>>;
  isProblem: (item: T) => boolean;
  words: string;
}

async function load(session: Session, signal: AbortSignal): Promise<Problems['counts']> {
  const counts = new Map<string, { count: number; more: boolean; words: string }>();
  const add = async <T>({ page, list, isProblem, words }: Counted<T>) => {
    const { data, has_more } = await list.catch(
      (): Pick<List<T>, 'data' | 'has_more'> => ({ data: [], has_more: false }),
    );
    const count = data.filter(isProblem).length;
    if (count > 0) counts.set(page, { count, more: has_more, words });
  };
  const query = { limit: LIMIT };
  const models = get<List<Model>>('/v1/models', { ...query, status: 'failed' }, signal);
  const endpoints = get<List<Endpoint>>('/v1/webhook-endpoints', query, signal);
  const lists = [
    add({ page: '/models', list: models, isProblem: () => true, words: 'with a failed version' }),
    add({ page: '/webhooks', list: endpoints, isProblem: isFailing, words: 'failing' }),
  ];
  if (isOperator(session)) {
    const workers = get<List<Worker>>('/v1/workers', query, signal);
    lists.push(add({ page: '/workers', list: workers, isProblem: isStale, words: 'without a report' }));
  }
  await Promise.all(lists);
  return counts;
}

const isFailing = ({ status, reason, failing_since_at }: Endpoint): boolean =>
  status === 'enabled' ? failing_since_at !== null : reason === 'failing' || reason === 'gone';
const isStale = ({ status }: Worker): boolean => status === 'stale';

export function problemCount({ counts }: Problems, pattern: string): Markup {
  const found = counts.get(pattern);
  if (found === undefined) return null;
  const text = `${found.count}${found.more ? '+' : ''}`;
  return html`<span class="count fail" title=${`${text} ${found.words}`}>${icon('warn')}${text}<span class="sr"> ${found.words}</span></span>`;
}

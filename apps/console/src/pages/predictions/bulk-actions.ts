/** Retry and cancel of all predictions of the filter, or of the selected predictions. */
import { useState } from 'preact/hooks';
import type { Filter } from '../../core/bulk.ts';
import { useShortcuts } from '../../core/shortcuts.ts';
import { bulkDialog } from '../../ui/bulk-dialog.ts';
import { h, html, type Markup } from '../../ui/html.ts';
import { icon } from '../../ui/icon.ts';
import { apiQuery, describeFilters } from './filters.ts';

type Action = 'retry' | 'cancel';

/** The statuses that an action changes, and the statuses without a filter by status. A canceled prediction runs again only on request. */
const STATUSES: Readonly<Record<Action, { possible: readonly string[]; usual: string }>> = {
  retry: { possible: ['failed', 'expired', 'canceled'], usual: 'failed,expired' },
  cancel: { possible: ['queued', 'running'], usual: 'queued,running' },
};

/** The statuses of the filter that the action changes; undefined where the filter has no such status. */
function statusFor(action: Action, status: string | undefined): string | undefined {
  const { possible, usual } = STATUSES[action];
  if (status === undefined) return usual;
  const chosen = status.split(',').filter((one) => possible.includes(one));
  return chosen.length === 0 ? undefined : chosen.join();
}

interface ActionsProps {
  query: URLSearchParams;
  /** The ids of the selected predictions. Without a selection the actions change all predictions of the filter. */
  selected: ReadonlySet<string>;
  changed: () => void;
}

/** The predictions that an action changes. They do not change after the dialog of the action has opened. */
interface Target {
  action: Action;
  filter: Filter;
  words: readonly (readonly [string, Markup])[];
}

export function BulkActions({ query, selected, changed }: ActionsProps): Markup {
  const [target, setTarget] = useState<Target>();
  const open = (action: Action) => {
    const found = targetOf(action, query, selected);
    if (found !== undefined) setTarget(found);
  };
  useShortcuts({ r: () => open('retry') });
  const button = (action: Action, word: string) => {
    const isPossible = targetOf(action, query, selected) !== undefined;
    const title = isPossible
      ? undefined
      : `The status ${query.get('status')} cannot be ${action === 'retry' ? 'retried' : 'canceled'}`;
    return html`<button class="button" type="button" disabled=${!isPossible} title=${title} aria-keyshortcuts=${action === 'retry' ? 'R' : undefined}
      onClick=${() => open(action)}>${icon(action === 'retry' ? 'retry' : 'canceled')}${word} ${selected.size > 0 ? 'selected…' : 'predictions…'}</button>`;
  };
  return html`${button('cancel', 'Cancel')}${button('retry', 'Retry')}${target === undefined ? null : targetDialog(target, changed, () => setTarget(undefined))}`;
}

export const bulkActions = (props: ActionsProps): Markup => h(BulkActions, props);

function targetOf(action: Action, query: URLSearchParams, selected: ReadonlySet<string>): Target | undefined {
  if (selected.size > 0) {
    const filter = { id: [...selected].join(), status: STATUSES[action].possible.join() };
    return { action, filter, words: [['Selected', String(selected.size)]] };
  }
  const given = apiQuery(query);
  const status = statusFor(action, given.status);
  if (status === undefined) return undefined;
  const entries = Object.entries({ ...given, status }).filter((entry): entry is [string, string] => Boolean(entry[1]));
  const others = new URLSearchParams(query);
  others.delete('status');
  const words = describeFilters(others);
  return {
    action,
    filter: Object.fromEntries(entries),
    words: [
      ['Filter', words === '' ? 'none: all predictions' : words.replace(/^(a|an|the) /, '')],
      ['Status', status.replaceAll(',', ' or ')],
    ],
  };
}

function targetDialog({ action, filter, words }: Target, changed: () => void, close: () => void): Markup {
  const isRetry = action === 'retry';
  return bulkDialog({
    verb: isRetry ? 'Retry' : 'Cancel',
    ...{ noun: 'prediction', nouns: 'predictions', risk: !isRetry },
    keep: isRetry ? 'Do not retry' : 'Keep running',
    doneWord: isRetry ? 'in the queue again' : 'canceled',
    effect: isRetry
      ? 'Each prediction runs again under its id, with the time limit of its first request. Newest first.'
      : 'Predictions that wait or run end as canceled. Other predictions with an equal input still get their output.',
    filterWords: words,
    count: { path: '/v1/predictions', queries: [filter] },
    path: `/v1/predictions/${action}`,
    filter,
    changed,
    close,
  });
}

/** The dialog of an action on all items of a filter: its effect and its count first, then its progress. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { type Counted, countItems, type Filter, type Place, randomKey, runBulk } from '../core/bulk.ts';
import { count, duration } from '../core/format.ts';
import { dialog } from './dialog.ts';
import { h, html, type Markup } from './html.ts';
import { icon } from './icon.ts';
import { showToast } from './toast.ts';

export interface BulkDialogProps {
  /** A verb: `Retry`. */
  verb: string;
  /** `prediction`, `delivery`. */
  noun: string;
  nouns: string;
  /** What the action does with each item. */
  effect: Markup;
  /** The words of the safe choice. */
  keep: string;
  risk?: boolean;
  /** The filter in words, as names with values. */
  filterWords: readonly (readonly [name: string, value: Markup])[];
  /** The lists whose items the action changes. */
  count: { path: string; queries: readonly Filter[] };
  /** The route of the action, and its filter. */
  path: string;
  filter: Filter;
  /** The message after the end: `retried`. */
  doneWord: string;
  /** Fields above the facts. */
  fields?: Markup;
  changed: () => void;
  close: () => void;
}

interface Progress {
  matched: number;
  done: number;
  waits: boolean;
}

function BulkDialog(props: BulkDialogProps): Markup {
  const { verb, nouns, effect, keep, risk = false, filterWords, fields = null, doneWord, changed, close } = props;
  const found = useCount(props);
  const [progress, setProgress] = useState<Progress>();
  const stop = useRef(new AbortController());
  const place = useRef<Place>({ cursor: null, step: 0 });
  const id = useRef(randomKey());
  const isDone = useRef(false);
  const startedAt = useRef(0);
  useEffect(() => () => stop.current.abort(), []);
  // A place belongs to its filter.
  useEffect(() => {
    place.current = { cursor: null, step: 0 };
    id.current = randomKey();
    setProgress(undefined);
  }, [JSON.stringify(props.filter)]);

  const run = async () => {
    startedAt.current = performance.now();
    let sum: Progress = progress ?? { matched: 0, done: 0, waits: false };
    setProgress(sum);
    await runBulk({
      id: id.current,
      path: props.path,
      filter: props.filter,
      from: place.current,
      signal: stop.current.signal,
      progress: (step, next, waits) => {
        place.current = next;
        sum = { matched: sum.matched + step.matched, done: sum.done + step.done, waits };
        setProgress(sum);
      },
    });
    isDone.current = true;
    showToast(`${amount(sum.done, props)} ${doneWord}.`);
    changed();
  };
  const ended = found?.ended === true;
  const many = found === undefined ? '' : amountOf(found, props);
  const isEmpty = ended && found.whole && found.count === 0;
  const title =
    found === undefined
      ? `${verb} ${nouns}?`
      : isEmpty
        ? `No ${props.noun} to ${verb.toLowerCase()}`
        : `${verb} ${many}?`;
  return dialog({
    title,
    ...(ended && !isEmpty ? { action: `${verb} ${many}` } : {}),
    keep: isEmpty ? 'Close' : progress === undefined ? keep : 'Stop',
    risk,
    run,
    close: () => {
      if (progress !== undefined && !isDone.current) {
        showToast(`Stopped. ${amount(progress.done, props)} ${doneWord}.`);
        changed();
      }
      close();
    },
    children: html`<p>${effect}</p>
      ${fields}
      <dl class="pairs">
        ${filterWords.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}
        <dt>Count</dt><dd><span role="status">${found === undefined ? 'counting' : countWords(found, props)}</span></dd>
      </dl>
      ${progress === undefined || found === undefined ? null : progressMarkup(progress, found, performance.now() - startedAt.current)}`,
  });
}

export const bulkDialog = (props: BulkDialogProps): Markup => h(BulkDialog, props);

type Nouns = Pick<BulkDialogProps, 'noun' | 'nouns'>;
const amount = (value: number, { noun, nouns }: Nouns): string => `${count(value)} ${value === 1 ? noun : nouns}`;

function amountOf({ count: value, whole, ended }: Counted, nouns: Nouns): string {
  if (whole || !ended) return amount(value, nouns);
  return value === 0 ? `all matching ${nouns.nouns}` : `more than ${amount(value, nouns)}`;
}

function countWords(found: Counted, nouns: Nouns): string {
  if (!found.ended) return `${count(found.count)}, counting`;
  const parts = Object.entries(found.statuses).map(([status, value]) => `${count(value)} ${status}`);
  if (parts.length === 0) return found.whole ? 'none' : 'not known';
  return found.whole ? parts.join(', ') : `more than ${amount(found.count, nouns)}: the action changes all`;
}

function progressMarkup(progress: Progress, found: Counted, tookMs: number): Markup {
  const share = Math.min(1, progress.matched / Math.max(1, found.count));
  const left = share > 0 && share < 1 && found.whole ? (tookMs / share) * (1 - share) : undefined;
  const words = progress.waits
    ? 'The queue takes no more at present. The action continues when the queue has room.'
    : `${count(progress.done)} done${left === undefined ? '' : `, about ${duration(Math.ceil(left / 1_000) * 1_000)} left`}`;
  return html`<div role="status">
    <svg class="bar tall" aria-hidden="true"><rect class="ground" width="100%" height="100%" /><rect class="value" width=${`${share * 100}%`} height="100%" /></svg>
    <p class="hint">${progress.waits ? icon('clock') : null}${words}</p>
  </div>`;
}

function useCount({ count: { path, queries } }: BulkDialogProps): Counted | undefined {
  const [found, setFound] = useState<Counted>();
  const key = `${path} ${JSON.stringify(queries)}`;
  useEffect(() => {
    const stop = new AbortController();
    setFound(undefined);
    countItems({ path, queries, signal: stop.signal, progress: (now) => !stop.signal.aborted && setFound(now) }).catch(
      () => {
        // Without a count the action still has its filter.
        if (!stop.signal.aborted) setFound({ count: 0, statuses: {}, whole: false, ended: true });
      },
    );
    return () => stop.abort();
  }, [key]);
  return found;
}

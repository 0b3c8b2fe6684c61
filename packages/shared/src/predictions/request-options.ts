/**
 * The options of a request in the live state, as JSON text. The text is empty for a request of one row without a webhook, so
 * that most states need no further bytes. Processes of 0.1.0 keep members that they do not know.
 */
import type { CacheUse, Prediction, PredictionWebhook } from './prediction.ts';
import type { EarlierAttempt } from './timeline.ts';

export interface RequestOptions {
  webhook?: PredictionWebhook;
  /** The hash of the `Idempotency-Key` and of the request. */
  idempotency?: string;
  /** The number of rows; 1 if absent. */
  rows?: number;
  /** Whether the request has `inputs`, so that the response has `outputs`. */
  list?: true;
  /** How the request used the cache at its submission; `miss` if absent. */
  cache?: Extract<CacheUse, 'partial' | 'bypass'>;
  /** The W3C trace context of the request: `traceparent`, and behind a space `tracestate` if there is one. */
  trace?: string;
  /** Milliseconds from the creation to the entry into the queue; 0 if absent. */
  queued?: number;
  /** Milliseconds from the start of the last attempt to its run. Absent before the end of a run. */
  batched?: number;
  /** Earlier attempts, oldest first. The scripts in live/ write this member and the two members above. */
  past?: EarlierAttempt[];
}

/** The columns of the ledger for the options that are always stored there. Null in rows of 0.1.0. */
export type RequestFacts = Pick<Prediction, 'rows' | 'list' | 'cache'>;

export function optionsText(options: RequestOptions): string {
  for (const _ in options) return JSON.stringify(options);
  return '';
}

/** Throws SyntaxError for damaged text. */
export const readOptions = (text: string): RequestOptions => (text === '' ? {} : JSON.parse(text));

/** Adds a member with a number to the text of options. The text must not have the member. */
export const addNumber = (options: string, name: 'queued' | 'batched', value: number): string =>
  options === '' ? `{"${name}":${value}}` : `${options.slice(0, -1)},"${name}":${value}}`;

export const factsOf = ({ rows, list, cache }: RequestOptions): RequestFacts => ({
  rows: rows ?? 1,
  list: list ?? false,
  cache: cache ?? 'miss',
});

/** The options for the facts in a row of the ledger. */
export function optionsOfFacts({ rows, list, cache }: RequestFacts): RequestOptions {
  return {
    ...(rows === null || rows === 1 ? {} : { rows }),
    ...(list ? { list } : {}),
    ...(cache === 'partial' || cache === 'bypass' ? { cache } : {}),
  };
}

/** The filters of predictions, for `list`, and for `cancel` and `retry` without ids. */
import type { components } from '@millrace/client';
import type { Command } from 'commander';
import type { Context } from '../program/context.ts';
import { CommandError } from '../program/exit-codes.ts';
import { collect, textsOf, usage, wholeNumber } from './input.ts';

export interface FilterOptions {
  model?: string;
  status?: string;
  createdAfter?: string;
  createdBefore?: string;
  error?: string;
  metadata?: string[];
}

/** The most predictions of one step. The server takes no larger number. */
const STEP = 1_000;

export function withFilters(command: Command): Command {
  return command
    .option('--model <model>', 'only predictions of this model')
    .option('--status <status,...>', 'queued, running, succeeded, failed, canceled or expired')
    .option('--created-after <time>', 'an RFC 3339 time')
    .option('--created-before <time>', 'an RFC 3339 time')
    .option('--error <code>', 'only predictions that ended with this error')
    .option('-m, --metadata <key=value>', 'only predictions with this metadata; can be repeated', collect);
}

/** Adds the filters of an action that takes ids or filters. */
export function withActionFilters(command: Command): Command {
  return withFilters(command).option(
    '-n, --limit <number>',
    'the most predictions of a filter; all if absent',
    wholeNumber(1, 1_000_000_000),
  );
}

function filterOf(options: FilterOptions): Record<string, string> {
  const { model, status, createdAfter, createdBefore, error, metadata = [] } = options;
  const named = { model, status, created_after: createdAfter, created_before: createdBefore, error };
  const given = Object.entries(named).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const texts = Object.entries(textsOf(metadata, '--metadata')).map(([key, value]) => [`metadata.${key}`, value]);
  return Object.fromEntries([...given, ...texts]);
}

/** Whether an action is for a filter. Throws for a command line with ids and filters, or with neither. */
export function isForFilter(
  command: string,
  ids: readonly string[],
  options: FilterOptions & { limit?: number },
): boolean {
  const filters = Object.keys(filterOf(options)).length;
  if (filters === 0 && options.limit !== undefined) throw usage('--limit needs a filter, such as --status failed.');
  if (filters > 0 && ids.length > 0) throw usage(`${command} takes ids or filters, not both.`);
  if (filters > 0 || ids.length > 0) return filters > 0;
  throw usage(`${command} needs an id, or a filter such as --model NAME or --metadata KEY=VALUE.`);
}

interface BulkOptions extends FilterOptions {
  limit?: number;
}

type Action = 'cancel' | 'retry';
type Step = components['schemas']['BulkAction'];

async function actOnce(
  { millrace, signal }: Context,
  action: Action,
  body: { filter: Record<string, string>; limit: number; cursor?: string },
): Promise<Step> {
  if (action === 'retry') return millrace.request('POST', '/v1/predictions/retry', { body, signal });
  const response = await millrace.request('POST', '/v1/predictions/cancel', { body, signal });
  if ('matched' in response) return response;
  throw new CommandError('The server did not act on the filter. Expected a server of this release. Update the server.');
}

/** Cancels or retries the predictions of a filter, in steps. */
export async function actOnFilter(
  context: Context,
  action: Action,
  { limit = Number.POSITIVE_INFINITY, ...options }: BulkOptions,
): Promise<void> {
  const { out } = context;
  const filter = filterOf(options);
  const outcome = { matched: 0, done: 0 };
  const did = action === 'cancel' ? 'canceled' : 'retried';
  const text = () =>
    `${did} ${outcome.done} of ${outcome.matched} ${outcome.matched === 1 ? 'prediction' : 'predictions'}`;
  const progress = out.progress(text());
  let cursor: string | null = null;
  try {
    do {
      const step = { limit: Math.min(STEP, limit - outcome.matched), ...(cursor === null ? {} : { cursor }) };
      const { matched, done, next } = await actOnce(context, action, { filter, ...step });
      outcome.matched += matched;
      outcome.done += done;
      cursor = next;
      progress.show(text());
    } while (cursor !== null && outcome.matched < limit);
  } catch (error) {
    // The predictions of the earlier steps are changed, and the error alone would not say so.
    if (outcome.matched > 0) out.note(text());
    throw error;
  } finally {
    progress.stop();
  }
  out.result(outcome, text);
}

/**
 * A held prediction as the dispatcher knows the prediction: its id. Behind the id stands the name of its job, if the job is a
 * later job (after a retry, or from the reconciler). The first job of the same prediction may be held at the same time, and only
 * the job in the live state may run the prediction.
 */
import { isLaterJob } from '@millrace/shared/queue/job';

/** A UUID. */
const ID_LENGTH = 36;

/** The predictions of a job as items, in order. */
export const itemsOf = (ids: readonly string[], job: string): readonly string[] =>
  isLaterJob(job) ? ids.map((id) => id + job) : ids;

export const isItemOf =
  (id: string) =>
  (item: string): boolean =>
    item.startsWith(id);

export interface NamedItems {
  ids: readonly string[];
  /** The job of each, '' for a first job; undefined where all have first jobs. */
  jobs: readonly string[] | undefined;
}

export function namedItems(items: readonly string[]): NamedItems {
  if (items.every(({ length }) => length === ID_LENGTH)) return { ids: items, jobs: undefined };
  return { ids: items.map((item) => item.slice(0, ID_LENGTH)), jobs: items.map((item) => item.slice(ID_LENGTH)) };
}

/**
 * The event types that an endpoint selects. `*` selects all types, and `prediction.*` all types of predictions, also future types. A
 * stored selection of `prediction.*` has the present types too, because processes of 0.1.0 compare types only.
 */
import { PREDICTION_EVENTS } from './event.ts';

export const allEvents = '*';
const allPredictionEvents = 'prediction.*';

/** The types that a request can select. */
export const SELECTIONS = [allEvents, allPredictionEvents, ...PREDICTION_EVENTS] as const;

/** The stored types of a selection. An empty list stands for all types. */
export function storedEvents(selection: readonly string[]): string[] {
  if (selection.includes(allEvents)) return [];
  if (!selection.includes(allPredictionEvents)) return [...selection];
  return [...new Set([...selection, ...PREDICTION_EVENTS])];
}

/** The selection of stored types, without the types that `prediction.*` includes. */
export const selectionOf = (stored: readonly string[]): string[] =>
  stored.includes(allPredictionEvents)
    ? stored.filter((type) => !PREDICTION_EVENTS.some((one) => one === type))
    : [...stored];

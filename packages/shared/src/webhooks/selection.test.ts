import { expect, test } from 'vitest';
import { PREDICTION_EVENTS } from './event.ts';
import { SELECTIONS, selectionOf, storedEvents } from './selection.ts';

test.each([
  [['prediction.failed'], ['prediction.failed']],
  [['prediction.*'], ['prediction.*', ...PREDICTION_EVENTS]],
  [
    ['prediction.failed', 'prediction.*'],
    ['prediction.failed', 'prediction.*', ...PREDICTION_EVENTS.filter((type) => type !== 'prediction.failed')],
  ],
  [['*'], []],
  [['prediction.failed', '*'], []],
])('%j is stored as %j', (selection, stored) => {
  expect(storedEvents(selection)).toEqual(stored);
});

test('the stored types give the selection back', () => {
  expect(selectionOf(storedEvents(['prediction.*']))).toEqual(['prediction.*']);
  expect(selectionOf(storedEvents(['prediction.failed']))).toEqual(['prediction.failed']);
});

test('a request can select all events, all events of predictions, and each event of a prediction', () => {
  expect(SELECTIONS).toEqual(['*', 'prediction.*', ...PREDICTION_EVENTS]);
});

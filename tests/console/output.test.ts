/** How the console reads the outputs of models and tasks. */
import { expect, test } from 'vitest';

// The console has the types of a browser, so the tests import its modules without types.
const file: string = new URL('../../apps/console/src/ui/output.ts', import.meta.url).href;
const { classifiedOf, shareOf, verdictOf } = await import(file);

const scores = [
  { label: 'positive', score: 0.9 },
  { label: 'negative', score: 0.1 },
];

test('the output of a classification has its label, the scores as bars, and the other members', () => {
  const output = { label: 'positive', score: 0.9, scores, tokens: 7, truncated: false };
  expect(classifiedOf(output)).toEqual({
    label: 'positive',
    scores: [
      { name: 'positive', value: 0.9 },
      { name: 'negative', value: 0.1 },
    ],
    rest: [
      ['tokens', 7],
      ['truncated', false],
    ],
  });
  expect(classifiedOf({ label: 'one', score: 1, scores: [{ label: 'one', score: 1 }] })?.scores).toEqual([
    { name: 'one', value: 1 },
  ]);
  for (const other of [
    null,
    1,
    { label: 'x' },
    { label: 1, scores },
    { label: 'x', scores: [1, 2] },
    { label: 'x', scores: [] },
  ])
    expect(classifiedOf(other)).toBeUndefined();
});

test('the verdict beside a probability is never whether the text was cut', () => {
  expect(verdictOf({ score: 0.3, tokens: 4, truncated: false })).toBeUndefined();
  expect(shareOf({ score: 0.3, tokens: 4, truncated: false }, null)).toEqual({ name: 'score', value: 0.3 });
  expect(verdictOf({ probability: 0.9, interaction: true })).toBe('Interaction');
});

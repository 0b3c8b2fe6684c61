import { expect, test } from 'vitest';
import { openQuestions } from './questions.ts';
import { openModel, type Pair } from './rivals/model.ts';

test('a right answer is right in either order, and a wrong one is told', async () => {
  const questions = await openQuestions();
  const pair = questions.pairs[5] as Pair;
  const model = await openModel();
  const swapped = { drug_a: pair.drug_b, drug_b: pair.drug_a };
  const [output] = await model.answer([await model.canonicalize(swapped)]);
  expect(await questions.fault(pair, output)).toBeUndefined();
  expect(await questions.fault(pair, { ...output, probability: 0.5 })).toContain('expected');
  expect(await questions.fault(questions.pairs[6] as Pair, output)).toContain('expected');
  expect(await questions.fault(pair, null)).toContain('expected');
});

test('every pair is asked once', async () => {
  const { pairs } = await openQuestions();
  expect(new Set(pairs.map(({ drug_a, drug_b }) => [drug_a, drug_b].toSorted().join('|'))).size).toBe(pairs.length);
});

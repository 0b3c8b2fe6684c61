import { expect, test } from 'vitest';
import { openInputs } from './inputs.ts';
import { openModel, type Pair } from './rivals/model.ts';

test('a correct output passes in either order of the pair, and a wrong output is reported', async () => {
  const inputs = await openInputs();
  const pair = inputs.pairs[5] as Pair;
  const model = await openModel();
  const swapped = { drug_a: pair.drug_b, drug_b: pair.drug_a };
  const [output] = await model.predict([await model.canonicalize(swapped)]);
  expect(await inputs.fault(pair, output)).toBeUndefined();
  expect(await inputs.fault(pair, { ...output, probability: 0.5 })).toContain('expected');
  expect(await inputs.fault(inputs.pairs[6] as Pair, output)).toContain('expected');
  expect(await inputs.fault(pair, null)).toContain('expected');
});

test('every pair appears once', async () => {
  const { pairs } = await openInputs();
  expect(new Set(pairs.map(({ drug_a, drug_b }) => [drug_a, drug_b].toSorted().join('|'))).size).toBe(pairs.length);
});

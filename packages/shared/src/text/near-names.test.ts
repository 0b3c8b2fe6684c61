import { expect, test } from 'vitest';
import { nearNames } from './near-names.ts';

test('only similar names are returned, nearest first', () => {
  expect(nearNames('expiresin', ['input', 'expires_in', 'expires_on', 'metadata'])).toEqual([
    'expires_in',
    'expires_on',
  ]);
  expect(nearNames('drug-', ['drug-interaction', 'echo'])).toEqual(['drug-interaction']);
});

test('a search among many long names ends early', () => {
  let looked = 0;
  function* names() {
    for (; looked < 100_000; looked += 1) yield `${'x'.repeat(90)}${looked}`;
  }
  nearNames('y'.repeat(1_000_000), names());
  expect(looked).toBeLessThan(100);
});

import { expect, test } from 'vitest';
import { ExpectedNumbers } from './expected-numbers.ts';

test('the first numbers begin at 1, and each reply corrects the next numbers', () => {
  const numbers = new ExpectedNumbers();
  const first = numbers.take('m', 3);
  expect(first.first).toBe(1);
  // Another process has submitted 100 predictions.
  first.entered(103);
  expect(numbers.take('m', 2).first).toBe(104);
  expect(numbers.take('m', 1).first).toBe(106);
  expect(numbers.take('other', 1).first).toBe(1);
});

test('a reply counts the predictions that were sent after its submission', () => {
  const numbers = new ExpectedNumbers();
  const [one, two] = [numbers.take('m', 4), numbers.take('m', 5)];
  expect(two.first).toBe(5);
  one.entered(24);
  expect(numbers.take('m', 1).first).toBe(30);
  two.entered(29);
  expect(numbers.take('m', 1).first).toBe(31);
  // A follower gets no number.
  numbers.take('m', 10).entered(31);
  expect(numbers.take('m', 1).first).toBe(32);
});

test.each([
  ['no number', Number.NaN],
  ['a fraction', 1.5],
  ['a negative number', -5],
  ['a number of eleven digits', 10_000_000_000],
])('%s in a reply is not expected', (_name, total) => {
  const numbers = new ExpectedNumbers();
  numbers.take('m', 1).entered(total);
  expect(numbers.take('m', 1).first).toBe(1);
});

test('a number has at most ten digits', () => {
  const numbers = new ExpectedNumbers();
  numbers.take('m', 1).entered(9_999_999_990);
  expect(numbers.take('m', 8).first).toBe(9_999_999_991);
  expect(numbers.take('m', 1).first).toBe(1);
});

test('the numbers of a thousand queues are known', () => {
  const numbers = new ExpectedNumbers();
  for (let n = 0; n < 1_000; n += 1) numbers.take(`m${n}`, 1).entered(7);
  expect(numbers.take('m0', 1).first).toBe(8);
  numbers.take('one more', 1);
  expect(numbers.take('m1', 1).first).toBe(1);
});

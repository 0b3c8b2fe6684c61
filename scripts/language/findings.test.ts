import { describe, expect, test } from 'vitest';
import { findingsIn } from './findings.ts';

const kinds = (text: string): string[] => findingsIn(text).found.map(({ kind }) => kind);

describe('findingsIn', () => {
  test.each([
    ['It returns the row.', 'it'],
    ['The API reads the row. This is slow.', 'this'],
    ['The old pool closes, and one that works opens.', 'one'],
    ['The newer ones are kept.', 'ones'],
    ['The API sends what the engine wrote.', 'what'],
    ['The caller who waits gets the result.', 'who'],
    ['The engine ends. That is an error.', 'that'],
    ['The pool is closed after that.', 'that'],
  ])('reports "%s"', (sentence, kind) => {
    expect(kinds(sentence)).toEqual([kind]);
  });

  test.each([
    'A job that fails is retried.',
    'The API returns an error, so that the caller retries.',
    'This engine runs one batch at a time.',
    'One of the engines ends, and no one restarts the engine.',
    'Its digest is the digest of the file itself.',
  ])('accepts "%s"', (sentence) => {
    expect(kinds(sentence)).toEqual([]);
  });

  test('reports a sentence of more than 35 words, and counts the words', () => {
    const sentence = (words: number) => `${Array.from({ length: words }, () => 'word').join(' ')}.`;
    expect(kinds(sentence(35))).toEqual([]);
    expect(findingsIn(sentence(36))).toMatchObject({ found: [{ kind: 'long' }], words: 36 });
  });
});

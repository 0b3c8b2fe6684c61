import { describe, expect, test } from 'vitest';
import { proseOf } from './prose.ts';

const words = (file: string, source: string): string => proseOf(file, source).trim().replace(/\s+/g, ' ');

describe('proseOf', () => {
  test.each([
    [
      'a.ts',
      `const a = '// no'; // Line comment.\n/** Block\n * comment. */\nconst b = \`/* no */\`;`,
      'Line comment. Block comment.',
    ],
    ['a.ts', `const web = /https:\\/\\/it/; // After a regular expression.`, 'After a regular expression.'],
    ['a.py', `"""Module text."""\nprint("# no")  # Comment.`, 'Module text. Comment.'],
    ['a.lua', `local a = "-- no" -- Comment.`, 'Comment.'],
    ['a.sql', `select '-- no'; -- Comment.`, 'Comment.'],
  ])('reads the comments of %s, and no strings: %s', (file, source, expected) => {
    expect(words(file, source)).toBe(expected);
  });

  test('reads a document without code blocks, front matter and link addresses', () => {
    const document = [
      '---',
      'title: it',
      '---',
      'Read [the page](http://it/).',
      '```',
      'it',
      '```',
      'Call `it` twice.',
    ];
    expect(words('a.md', document.join('\n'))).toBe('Read the page. Call Code twice.');
  });

  test('ends a sentence at a list item and at a table cell', () => {
    expect(proseOf('a.md', '- first\n- second\n').trim().split(/\n\n+/)).toEqual(['first', 'second']);
    expect(
      proseOf('a.md', '| first | second |\n')
        .trim()
        .split(/\s*\n\n+\s*/),
    ).toEqual(['first', 'second']);
  });
});

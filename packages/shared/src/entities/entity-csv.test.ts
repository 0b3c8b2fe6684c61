import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseEntityCsv } from './entity-csv.ts';

const parse = (text: string) => parseEntityCsv(text, 'drug.csv');

describe('the rows of a CSV', () => {
  test('have key, name, aliases and vector, and the other columns as attributes', () => {
    const vector = Buffer.from(Float32Array.of(1.5, -2).buffer).toString('base64');
    expect(parse(`key,name,aliases,formula,vector\na,Alpha, x |y||,H2O,${vector}\nb,Beta,,,\n`)).toEqual([
      {
        key: 'a',
        name: 'Alpha',
        aliases: ['x', 'y'],
        attributes: { formula: 'H2O' },
        vector: Float32Array.of(1.5, -2),
      },
      { key: 'b', name: 'Beta', aliases: [], attributes: { formula: '' } },
    ]);
  });

  test('may have columns in any order, a byte order mark, Windows line ends, and no line end at the end', () => {
    expect(parse('\ufeffname,key\r\nAlpha,a\r\n\r\n"Be,ta",b')).toEqual([
      { key: 'a', name: 'Alpha', aliases: [], attributes: {} },
      { key: 'b', name: 'Be,ta', aliases: [], attributes: {} },
    ]);
  });

  test('keep any text that is quoted', () => {
    const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
    fc.assert(
      fc.property(fc.array(fc.string(), { minLength: 1, maxLength: 5 }), (notes) => {
        const lines = notes.map((note, at) => `k${at},n${at},${quoted(note)}`);
        const rows = parse(`key,name,note\n${lines.join('\n')}\n`);
        expect(rows.map(({ attributes }) => attributes.note)).toEqual(notes);
      }),
    );
  });
});

describe('the error of an invalid CSV has the line and the reason:', () => {
  test.each([
    ['key,title\na,b\n', 'drug.csv has no column "name". The columns are: key, title.'],
    ['', 'drug.csv has no column "key". The columns are: none.'],
    ['key,name\na\n', 'drug.csv, line 2: the line has 1 fields, but the header has 2.'],
    ['key,name\na,A\n"b\nb",\n', 'drug.csv, line 3: key and name must not be empty.'],
    ['key,name\na,"A\nb,B\n', 'drug.csv, line 2: a quote is not closed.'],
    ['key,name\na,"A"x\n', 'drug.csv, line 2: text follows a closing quote.'],
    ['key,name\na,A\n"b\n2",B\na,C\n', 'drug.csv, line 5: line 2 already has the key "a".'],
    ['key,name,aliases\na,A,x\nb,B,y| X \n', 'drug.csv, line 3: "X" is also a name of "a" on line 2.'],
    ['key,name\na,Same  name\nb,same NAME\n', 'drug.csv, line 3: "same NAME" is also a name of "a" on line 2.'],
    ['key,name,vector\na,A,AAAA\n', 'drug.csv, line 2: the vector must be float32 numbers in base64.'],
    ['key,name,vector\na,A,?!\n', 'drug.csv, line 2: the vector must be float32 numbers in base64.'],
  ])('%j', (text, message) => {
    expect(() => parse(text)).toThrow(message);
  });
});

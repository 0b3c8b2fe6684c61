import { describe, expect, test } from 'vitest';
import { parseEntityCsv } from './entity-csv.ts';

const parse = (text: string) => parseEntityCsv(text, 'drug.csv');

test('rows have keys, names, aliases, attributes and vectors', () => {
  const vector = Buffer.from(Float32Array.of(1, 2.5).buffer).toString('base64');
  const text = `key,name,aliases,smiles,vector\r\na,Aspirin,ASA| acetylsalicylic acid |,"C,""x""\ny",${vector}\r\n\r\nb,B,,,\r\n`;
  expect(parse(`\uFEFF${text}`)).toEqual([
    {
      key: 'a',
      name: 'Aspirin',
      aliases: ['ASA', 'acetylsalicylic acid'],
      attributes: { smiles: 'C,"x"\ny' },
      vector: Float32Array.of(1, 2.5),
    },
    { key: 'b', name: 'B', aliases: [], attributes: { smiles: '' } },
  ]);
});

describe('a fault says in which line', () => {
  const faults: [string, string, string][] = [
    ['no column', 'key,title\na,A\n', 'drug.csv has no column "name"; it has key, title.'],
    ['no text', '', 'drug.csv has no column "key"; it has none.'],
    ['a field too few', 'key,name\n"a\nb",B\nc\n', 'drug.csv, line 4: 1 fields, and the header has 2.'],
    ['a key twice', 'key,name\na,A\nb,B\na,C\n', 'drug.csv, line 4: the key "a" is that of line 2.'],
    ['no name', 'key,name\na,\n', 'drug.csv, line 2: key and name must not be empty.'],
    ['an open quote', 'key,name\na,"A\n', 'drug.csv, line 2: a quote is not closed.'],
    ['text after a quote', 'key,name\na,"A"x\n', 'drug.csv, line 2: text follows a closing quote.'],
    [
      'a vector of odd bytes',
      'key,name,vector\na,A,AAA=\n',
      'drug.csv, line 2: the vector must be float32 numbers in base64.',
    ],
  ];
  test.each(faults)('%s', (_, text, wanted) => {
    expect(() => parse(text)).toThrow(wanted);
  });
});

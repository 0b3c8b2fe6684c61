import { readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Entity } from './entity.ts';
import { parseEntityCsv } from './entity-csv.ts';
import { buildEntities } from './entity-index.ts';

const file = path.resolve(import.meta.dirname, '../../../../models/drug-interaction/entities/drug.csv');
const drugs = parseEntityCsv(readFileSync(file, 'utf8'), 'drug.csv');
const entities = buildEntities({ drug: drugs });

const row = (key: string, name: string, aliases: string[] = []): Entity => ({ key, name, aliases, attributes: {} });

describe('entities', () => {
  test('find every bundled drug by key, name and alias, in any case and with any white space', () => {
    const spelt = fc.constantFrom(
      (text: string) => text.toUpperCase(),
      (text: string) => `  ${text.replaceAll(' ', ' \t\n ')} `,
      (text: string) => text,
    );
    fc.assert(
      fc.property(fc.constantFrom(...drugs), fc.nat(), spelt, (drug, nth, spell) => {
        const terms = [drug.key, drug.name, ...drug.aliases];
        expect(entities.find('drug', spell(terms[nth % terms.length]!))).toBe(drug);
      }),
    );
  });

  test('get a row by its exact key only', () => {
    expect(entities.get('drug', 'warfarin')?.name).toBe('Warfarin');
    expect(entities.get('drug', 'Warfarin')).toBeUndefined();
  });

  test('return all rows in their order, and nothing for an unknown entity', () => {
    expect(entities.all('drug')).toEqual(drugs);
    for (const name of ['planet', 'constructor', '__proto__']) {
      expect(entities.all(name)).toEqual([]);
      expect(entities.find(name, 'warfarin')).toBeUndefined();
      expect(entities.get(name, 'warfarin')).toBeUndefined();
      expect(entities.near(name, 'warfarin')).toEqual([]);
    }
  });

  test('prefer a key to a name and a name to an alias when rows share a term', () => {
    const shared = buildEntities({ e: [row('1', 'One', ['two', '3']), row('2', 'Two', ['3']), row('3', 'Three')] });
    expect(shared.find('e', 'TWO')?.key).toBe('2');
    expect(shared.find('e', '3')?.key).toBe('3');
  });
});

describe('near names', () => {
  test.each([
    ['warfarn', 'Warfarin'],
    ['wafrarin', 'Warfarin'],
    ['Warfarine', 'Warfarin'],
    ['warf', 'Warfarin'],
    ['flukonazole', 'Fluconazole'],
  ])('of %s begin with %s', (typed, name) => {
    expect(entities.near('drug', typed)[0]).toBe(name);
  });

  test('contain the name of the row when an alias is similar', () => {
    const salicylate = buildEntities({
      drug: [row('asa', 'Acetylsalicylic acid', ['Aspirin']), row('b', 'Betaxolol')],
    });
    expect(salicylate.near('drug', 'asprin')).toEqual(['Acetylsalicylic acid']);
  });

  test('are empty without a similar name, and never more than the limit', () => {
    expect(entities.near('drug', 'qqqqqqqqqq')).toEqual([]);
    expect(entities.near('drug', '')).toEqual([]);
    expect(entities.near('drug', 'a', 2).length).toBeLessThanOrEqual(2);
  });

  test('do not depend on the order of the rows', () => {
    const reversed = buildEntities({ drug: [...drugs].reverse() });
    for (const typed of ['metropolol', 'olol', 'fluoxetin', 'amio']) {
      expect(reversed.near('drug', typed, 3)).toEqual(entities.near('drug', typed, 3));
    }
  });

  test('take little time for a text of any length', () => {
    const startedAt = performance.now();
    for (let i = 0; i < 50; i++) entities.near('drug', `${'warfarin'.repeat(1_000)}${i}`);
    expect((performance.now() - startedAt) / 50).toBeLessThan(200);
  });
});

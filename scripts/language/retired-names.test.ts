import { describe, expect, test } from 'vitest';
import { retiredUses } from './retired-names.ts';

const uses = (file: string, source: string): string[] =>
  retiredUses(file, source).map(({ line, name }) => `${line}: ${name}`);

describe('retiredUses', () => {
  test.each([
    ['// The API answers.', '1: answers'],
    ['const firstAnswer = 1;', '1: answer'],
    ['const FIRST_ANSWER = 1;', '1: answer'],
    ["import './near-results.ts';", '1: near results'],
    ['interface WebhookMeans {}', '1: WebhookMeans'],
    ['if (goesOn) return;', '1: goesOn'],
  ])('reports %s', (source, use) => {
    expect(uses('apps/api/src/http/a.ts', source)).toEqual([use]);
  });

  test('reports the name of a file', () => {
    expect(uses('apps/api/src/http/outbox.ts', '')).toEqual(['0: outbox']);
  });

  test('accepts words that contain a retired name', () => {
    expect(uses('apps/api/src/http/a.ts', 'const task = mask(basket); // A 202 means a promise.')).toEqual([]);
  });

  test('accepts a lane of webhook deliveries, and no other lane', () => {
    expect(uses('apps/worker/src/webhooks/a.ts', 'const lane = 1;')).toEqual([]);
    expect(uses('apps/api/src/queue/a.ts', 'const lane = 1;')).toEqual(['1: lane']);
  });

  test('accepts stored names in the files that read them', () => {
    const source = 'if (findings.answers.deterministic) return { answers: true };';
    expect(uses('packages/shared/src/model-files/model-config.ts', source)).toEqual([]);
    expect(uses('packages/shared/src/model-files/model-config.ts', '// The answers.')).toEqual(['1: answers']);
    expect(uses('apps/api/src/http/a.ts', source)).toEqual(['1: answers']);
  });

  test('leaves out files whose bytes have a checksum', () => {
    expect(uses('migrations/0002_registry.sql', '-- What it answers.')).toEqual([]);
    expect(uses('models/drug-interaction/handler.ts', '// What it answers.')).toEqual([]);
  });
});

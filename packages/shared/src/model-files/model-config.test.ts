import { readFileSync } from 'node:fs';
import { Check } from 'typebox/value';
import { describe, expect, test } from 'vitest';
import {
  FINDING_RULES,
  ModelFileError,
  ModelFileSchema,
  mergeModelFiles,
  parseModelFile,
  resolveModelConfig,
  stillHold,
} from './model-config.ts';

function problems(text: string): readonly string[] {
  try {
    parseModelFile(text, 'm/model.json');
  } catch (error) {
    if (error instanceof ModelFileError) return error.problems;
    throw error;
  }
  return [];
}

describe('a fault has the file, the field, the expected value and the received value', () => {
  const faults: [string, RegExp][] = [
    ['{"max_batch": 1', /^m\/model\.json is not JSON: /],
    ['[]', /^m\/model\.json: the file must be an object, but is an array of 0\.$/],
    ['{"max_btach": 1}', /max_btach is not a field\. Did you mean max_batch\?$/],
    ['{"qqqqqq": 1}', /qqqqqq is not a field\. The fields are description, task, max_batch, /],
    ['{"max_batch": "64"}', /max_batch must be a whole number from 1 to 65536, but is "64"\.$/],
    ['{"max_batch": 0}', /but is 0\.$/],
    ['{"max_batch": 1.5}', /but is 1\.5\.$/],
    ['{"row_independent": "yes"}', /row_independent must be true or false, but is "yes"/],
    ['{"cache": {"scope": "all"}}', /cache\.scope must be "tenant" or "public", but is "all"/],
    ['{"cache": {"ttl": 5}}', /cache\.ttl is not a field\. Did you mean ttl_s\?/],
    ['{"cache": null}', /cache must be an object, but is null/],
    ['{"priority": "urgent"}', /priority must be "low" or "normal" or "high"/],
    ['{"entities": ["../drug"]}', /entities\[0\] must be a name of a-z/],
    ['{"entities": ["a", "a"]}', /entities has duplicate items/],
    ['{"labels": {"y": ["cat", 1]}}', /labels\.y\[1\] must be a string, but is 1/],
    ['{"timeout_ms": 9e99}', /timeout_ms must be a whole number from 1 to 3600000/],
  ];
  test.each(faults)('%s', (text, wanted) => {
    expect(problems(text)).toEqual([expect.stringMatching(wanted)]);
    // The schema for editors rejects the same texts.
    if (!text.endsWith('1')) expect(Check(ModelFileSchema, JSON.parse(text))).toBe(false);
  });
  test('all faults are reported at once', () => {
    expect(problems('{"max_batch": 0, "priority": 1, "nonsense": {}}')).toHaveLength(3);
  });
});

const INDEPENDENT = {
  rows: { independent: true, reason: 'tried' },
  answers: { deterministic: true, reason: 'tried' },
};

test('defaults are filled in, and model.json wins over a trial', () => {
  expect(resolveModelConfig({}, INDEPENDENT)).toEqual({
    description: '',
    maxBatch: 64,
    rowIndependent: true,
    deterministic: true,
    findings: {
      rules: FINDING_RULES,
      rows: { independent: true, reason: 'tried', said: false },
      answers: { deterministic: true, reason: 'tried', said: false },
    },
    cache: { ttlS: 86_400, scope: 'tenant', enabled: true },
    timeoutMs: 30_000,
    priority: 'normal',
    entities: [],
    examples: [],
    labels: {},
  });
  expect(resolveModelConfig({ max_batch: 8 }, {})).toMatchObject({ maxBatch: 1, rowIndependent: false });
  expect(resolveModelConfig({ max_batch: 8, row_independent: true }, {})).toMatchObject({ maxBatch: 8 });
  expect(resolveModelConfig({ row_independent: false }, INDEPENDENT)).toMatchObject({
    maxBatch: 1,
    rowIndependent: false,
  });
});

test('without a trial a model is neither independent nor deterministic, unless model.json states the property', () => {
  expect(resolveModelConfig({}, {})).toMatchObject({ rowIndependent: false, deterministic: false });
  const said = resolveModelConfig({ deterministic: true, row_independent: true }, {});
  expect(said).toMatchObject({ rowIndependent: true, deterministic: true });
  expect(said.findings).toMatchObject({ answers: { reason: 'model.json says so', said: true } });
});

test('findings are valid until the rules change, or until model.json drops a property that was not tried', () => {
  const { findings } = resolveModelConfig({}, INDEPENDENT);
  expect(stillHold(findings, {})).toBe(true);
  expect(stillHold(findings, { deterministic: false })).toBe(true);
  expect(stillHold(undefined, {})).toBe(false);
  expect(stillHold({ ...findings!, rules: FINDING_RULES - 1 }, {})).toBe(false);
  for (const file of [{ deterministic: true }, { row_independent: true }]) {
    const said = resolveModelConfig(file, INDEPENDENT).findings;
    expect(stillHold(said, file)).toBe(true);
    expect(stillHold(said, {})).toBe(false);
  }
});

test("each field of a version's model.json wins over the model's model.json", () => {
  const model = parseModelFile('{"$schema": "x", "timeout_ms": 5, "cache": {"ttl_s": 1, "scope": "public"}}', 'f');
  expect(mergeModelFiles(model, { timeout_ms: 6, cache: { ttl_s: 2 } })).toEqual({
    timeout_ms: 6,
    cache: { ttl_s: 2, scope: 'public' },
  });
});

test('the schema for editors equals the validated schema (models/model.schema.json)', () => {
  const file = new URL('../../../../models/model.schema.json', import.meta.url);
  const wanted = { $schema: 'http://json-schema.org/draft-07/schema#', ...JSON.parse(JSON.stringify(ModelFileSchema)) };
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(wanted);
});

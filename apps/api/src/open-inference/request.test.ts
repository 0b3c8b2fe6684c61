import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import { describe, expect, test } from 'vitest';
import { writeStrings } from './binary-tensors.ts';
import { type ParseInferParams, parseInfer } from './request.ts';

const version: ModelVersion = {
  tenant: 'default',
  model: 'm',
  version: '1',
  digest: '0'.repeat(64),
  state: 'ready',
  reason: null,
  signature: {
    inputs: [{ name: 'x', dtype: 'string', shape: ['n'] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['n'] }],
  },
  config: {
    description: '',
    maxBatch: 1,
    rowIndependent: false,
    cache: { ttlS: 1, scope: 'tenant', enabled: true },
    timeoutMs: 1_000,
    priority: 'normal',
    entities: [],
    examples: [],
    labels: {},
  },
  handlerDigest: null,
  inputSchema: null,
  outputSchema: null,
  entitySets: {},
  createdAt: 0,
};
const handled: ModelVersion = { ...version, handlerDigest: '1'.repeat(64) };

const parse = (json: unknown, more: Partial<ParseInferParams> = {}) =>
  parseInfer({
    json,
    rest: Buffer.alloc(0),
    version,
    limits: { maxRows: 10, jsonItems: 100 },
    parseElements: (texts) => [...texts],
    ...more,
  });
const bytes = (name: string, data: string[]) => ({ name, datatype: 'BYTES', shape: [data.length], data });

describe('parseInfer refuses a request that costs far more than its bytes:', () => {
  test('an output that is requested twice', () => {
    const outputs = Array.from({ length: 10_000 }, () => ({ name: 'y' }));
    expect(() => parse({ inputs: [bytes('x', ['a'])], outputs })).toThrow("output 'y' is requested twice");
    expect(parse({ inputs: [bytes('x', ['a'])], outputs: [{ name: 'y' }] }).outputs).toHaveLength(1);
  });

  test('more strings in a binary tensor than a JSON body may have items', () => {
    const parseCount = (count: number) => {
      const rest = writeStrings(Array<string>(count).fill(''));
      const input = { name: 'x', datatype: 'BYTES', shape: [count], parameters: { binary_data_size: rest.length } };
      return parse({ inputs: [input] }, { rest });
    };
    expect(() => parseCount(100)).not.toThrow();
    expect(() => parseCount(101)).toThrow('more than 100 BYTES elements');
  });

  test('more inputs for a handler than a prediction has rows, before any is parsed', () => {
    let parsed = 0;
    const parseCount = (count: number) =>
      parse(
        { inputs: [bytes('input', Array<string>(count).fill('{}'))] },
        {
          version: handled,
          parseElements: (texts) => {
            parsed += texts.length;
            return [...texts];
          },
        },
      );
    parseCount(10);
    expect(() => parseCount(11)).toThrow('at most 10 rows');
    expect(parsed).toBe(10);
  });
});

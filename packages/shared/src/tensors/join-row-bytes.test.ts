import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { joinRowBytes, type RowReader, RunMemory } from './join-row-bytes.ts';
import type { Tensor, TensorMap } from './tensor.ts';
import { tensorRowBytes } from './tensor-bytes.ts';

const COUNT = 20_001;
const long = (name: string, add: number): TensorMap => ({
  [name]: { dtype: 'float32', dims: [1, COUNT], data: Float32Array.from({ length: COUNT }, (_, at) => at + add) },
});

/** A row outside of the memory of the process. */
function reader(row: Buffer): RowReader {
  return {
    bytes: row.length,
    read(target, from) {
      expect(from + target.length).toBeLessThanOrEqual(row.length);
      target.set(row.subarray(from, from + target.length));
    },
  };
}

const tensorIn = (tensors: TensorMap | undefined, name: string): Tensor => {
  const tensor = tensors?.[name];
  if (tensor === undefined) throw new Error(`the tensor ${name} is missing`);
  return tensor;
};

describe('rows that are read into a run', () => {
  test('give the same tensors as rows in memory, alone, together and mixed', () => {
    const rows = [long('x', 0), long('x', 1), long('y', 2), { ...long('x', 3), ...long('z', 4) }].map(tensorRowBytes);
    const expected = joinRowBytes(rows);
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }), fc.boolean(), (isRead, isKept) => {
        const given = rows.map((row, at) => (isRead[at] ? reader(row) : row));
        expect(joinRowBytes(given, isKept ? new RunMemory() : undefined)).toEqual(expected);
      }),
    );
  });

  test('may have a header of any length, strings and scalars', () => {
    const wide: TensorMap = {};
    for (let n = 0; n < 300; n += 1)
      wide[`column ${'x'.repeat(20)} ${n}`] = { dtype: 'int64', dims: [1], data: BigInt64Array.of(BigInt(n)) };
    wide.text = { dtype: 'string', dims: [1, 2], data: ['a', 'bc'] };
    wide.scalar = { dtype: 'bool', dims: [], data: Uint8Array.of(1) };
    const row = tensorRowBytes(wide);
    expect(joinRowBytes([reader(row)], new RunMemory())).toEqual(joinRowBytes([row]));
  });

  test('that are cut are refused', () => {
    const row = tensorRowBytes(long('x', 0));
    for (const length of [0, 3, 10, 40, row.length - 8])
      expect(() => joinRowBytes([reader(row.subarray(0, length))])).toThrow();
  });

  test('use the memory of the run before, from the second run on', () => {
    const memory = new RunMemory();
    const [one, two] = [long('x', 0), long('x', 9)].map(tensorRowBytes).map(reader);
    if (one === undefined || two === undefined) throw new Error('there are two rows');
    const run = (...rows: RowReader[]) => tensorIn(joinRowBytes(rows, memory)[0]?.tensors, 'x');
    run(one, two);
    const second = run(one, two);
    const third = run(two);
    expect(third.data).toEqual(long('x', 9).x?.data);
    if (Array.isArray(second.data) || Array.isArray(third.data)) throw new Error('the elements are numbers');
    expect(third.data.buffer).toBe(second.data.buffer);
  });
});

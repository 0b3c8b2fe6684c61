import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { BytePieces } from './byte-pieces.ts';
import { joinRowBytes } from './join-row-bytes.ts';
import { DTYPES, type Dtype, type TensorMap } from './tensor.ts';
import { LONG_ROW_BYTES, readHead, tensorRow, tensorRowBytes, tensorsOfBytes } from './tensor-bytes.ts';
import { newData } from './tensor-data.ts';
import { TensorInPieces } from './tensor-in-pieces.ts';
import { tensorRowText } from './tensor-rows.ts';

const float = (dims: number[], values: number[]): TensorMap => ({
  x: { dtype: 'float32', dims, data: Float32Array.from(values) },
});
const strings = (...data: string[]): TensorMap => ({ s: { dtype: 'string', dims: [1, data.length], data } });

const anyTensors = fc.dictionary(
  fc.string({ maxLength: 8 }).filter((name) => name !== '__proto__' && name.isWellFormed()),
  fc
    .tuple(fc.constantFrom<Dtype>(...DTYPES), fc.array(fc.nat(3), { maxLength: 4 }), fc.infiniteStream(fc.nat(127)))
    .map(([dtype, dims, values]) => {
      const data = newData(
        dtype,
        dims.reduce((a, b) => a * b, 1),
      );
      for (let at = 0; at < data.length; at += 1) {
        const value = values.next().value ?? 0;
        if (Array.isArray(data)) data[at] = 'ü'.repeat(value % 5);
        else if (data instanceof BigInt64Array || data instanceof BigUint64Array) data[at] = BigInt(value);
        else data[at] = dtype === 'bool' ? value % 2 : value;
      }
      return { dtype, dims, data };
    }),
  { maxKeys: 4 },
);

describe('the bytes of a row', () => {
  test('give back the tensors, at any place in memory, and are equal exactly for equal tensors', () => {
    fc.assert(
      fc.property(anyTensors, anyTensors, fc.nat(9), (tensors, others, shift) => {
        const row = tensorRowBytes(tensors);
        const moved = Buffer.alloc(row.length + shift).subarray(shift);
        row.copy(moved);
        expect(tensorRowText(tensorsOfBytes(moved))).toBe(tensorRowText(tensors));
        const isEqual = row.equals(tensorRowBytes(others));
        expect(isEqual).toBe(tensorRowText(tensors) === tensorRowText(others));
      }),
    );
  });

  test('have a fixed layout: other processes and the engine read the same bytes', () => {
    // Memory that was used before: the bytes between two tensors must be 0.
    const used = vi.spyOn(Buffer, 'allocUnsafe').mockImplementation((bytes: number) => Buffer.alloc(bytes, 0xff));
    const row = tensorRowBytes({
      b: { dtype: 'uint8', dims: [3], data: Uint8Array.of(1, 2, 3) },
      a: { dtype: 'string', dims: [1, 2], data: ['é', 'x'] },
    });
    used.mockRestore();
    const head = Buffer.alloc(40);
    head.set([1, 0, 2, 0], 0);
    head.set([1, 0, 0x61, DTYPES.indexOf('string'), 2, 1, 0, 0, 0, 2, 0, 0, 0, 11, 0, 0, 0], 4);
    head.set([1, 0, 0x62, DTYPES.indexOf('uint8'), 1, 3, 0, 0, 0, 3, 0, 0, 0], 21);
    const texts = Buffer.from([2, 0, 0, 0, 0xc3, 0xa9, 1, 0, 0, 0, 0x78, 0, 0, 0, 0, 0]);
    expect(row.toString('hex')).toBe(
      Buffer.concat([head, texts, Buffer.from([1, 2, 3, 0, 0, 0, 0, 0])]).toString('hex'),
    );
  });

  test('leave out a tensor without a value', () => {
    const some: Record<string, unknown> = { ...float([1], [1]), y: undefined };
    expect(tensorRowBytes(some as TensorMap).equals(tensorRowBytes(float([1], [1])))).toBe(true);
    expect(readHead(tensorRowBytes({}).subarray(0, 4), 8).parts).toEqual([]);
  });

  test('of 64 KiB of elements are pieces: the head, and the elements themselves', () => {
    const rowOf = (bytes: number) => {
      const data = new Uint8Array(bytes);
      return { data, row: tensorRow({ x: { dtype: 'uint8', dims: [bytes], data } }) };
    };
    expect(rowOf(LONG_ROW_BYTES - 8).row).toBeInstanceOf(Buffer);
    const { data, row } = rowOf(LONG_ROW_BYTES);
    const pieces = row instanceof BytePieces ? row.pieces : [];
    expect(pieces.map(({ length }) => length)).toEqual([24, LONG_ROW_BYTES]);
    expect(pieces[1]?.buffer).toBe(data.buffer);
    const padded = rowOf(LONG_ROW_BYTES + 1).row;
    expect(padded instanceof BytePieces && padded.pieces.map(({ length }) => length)).toEqual([
      24,
      LONG_ROW_BYTES + 1,
      7,
    ]);
  });

  test('of a long tensor in pieces have these pieces', () => {
    const pieces = [Buffer.alloc(LONG_ROW_BYTES - 8, 1), Buffer.alloc(8, 2)];
    const row = tensorRow({ x: new TensorInPieces('uint8', [LONG_ROW_BYTES], new BytePieces(pieces)) });
    const behind = row instanceof BytePieces ? row.pieces.slice(1) : [];
    expect(behind.map(({ byteOffset, length }) => [byteOffset, length])).toEqual(
      pieces.map(({ byteOffset, length }) => [byteOffset, length]),
    );
  });

  test('name the fault of a damaged row', () => {
    const damaged = (at: number, byte: number, tensors: TensorMap) => {
      const row = tensorRowBytes(tensors);
      row[at] = byte;
      return () => tensorsOfBytes(row);
    };
    const two = float([2], [1, 2]);
    expect(damaged(7, 99, two)).toThrow('the type of "x" is unknown');
    expect(damaged(13, 4, two)).toThrow('"x" has 4 bytes, and its shape [2] needs another number');
    expect(damaged(13, 12, two)).toThrow('the elements of "x" are cut');
    expect(damaged(9, 3, { s: { dtype: 'string', dims: [2], data: ['a', 'b'] } })).toThrow(
      '"s" has 2 elements: expected 3 for its shape',
    );
  });

  test('separate negative zero, types and shapes', () => {
    const rows = [float([1, 1], [0]), float([1, 1], [-0]), float([1], [0]), strings('a', 'b'), strings('ab', '')];
    const int: TensorMap = { x: { dtype: 'int32', dims: [1, 1], data: Int32Array.of(0) } };
    expect(new Set([...rows, int].map((row) => tensorRowBytes(row).toString('hex'))).size).toBe(6);
  });

  test('are the same with and without a copy of the elements', () => {
    const bytes = Buffer.from(Float32Array.from({ length: 20_001 }, (_, at) => at / 7).buffer);
    const x = float([1, 20_001], Array.from(new Float32Array(new Uint8Array(bytes).buffer))).x;
    const small: TensorMap = { ...strings('a', 'bcd'), ...float([1], [1]) };
    expect(tensorRow(small)).toEqual(tensorRowBytes(small));
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length), { maxLength: 8 }), (cuts) => {
        const ends = [0, ...cuts.sort((a, b) => a - b), bytes.length];
        const pieces = ends.slice(1).map((end, at) => bytes.subarray(ends[at], end));
        const tensor = new TensorInPieces('float32', [1, 20_001], new BytePieces(pieces));
        const others = { a: small.s, y: x } as TensorMap;
        const row = tensorRow({ ...others, x: tensor });
        expect(row).toBeInstanceOf(BytePieces);
        const whole = Buffer.isBuffer(row) ? row : row.joined();
        expect(whole.equals(tensorRowBytes({ ...others, x } as TensorMap))).toBe(true);
        expect(tensorRowBytes({ x: tensor }).equals(tensorRowBytes({ x } as TensorMap))).toBe(true);
        expect(tensor.data).toEqual(x?.data);
      }),
      { numRuns: 30 },
    );
  });

  test('cut or damaged bytes are refused', () => {
    const row = tensorRowBytes({ ...float([1, 3], [1, 2, 3]), ...strings('a', 'bc') });
    for (let length = 0; length < row.length; length += 8)
      expect(() => tensorsOfBytes(row.subarray(0, length))).toThrow();
    expect(() => tensorsOfBytes(Buffer.from('{"x":1}'))).toThrow('cannot be read');
  });
});

describe('rows that run together', () => {
  test('are joined in the order of the rows, for each shape', () => {
    const rows = [float([1, 2], [1, 2]), float([1, 1], [3]), float([1, 2], [4, 5]), float([2, 1], [6, 7])];
    const groups = joinRowBytes(rows.map(tensorRowBytes));
    expect(groups.map(({ places, rowsEach }) => [places, rowsEach])).toEqual([
      [[0, 2], 1],
      [[1], 1],
      [[3], 2],
    ]);
    expect(groups[0]?.tensors).toEqual(float([2, 2], [1, 2, 4, 5]));
  });

  test('with strings of any lengths are joined, and scalars are not', () => {
    const joined = joinRowBytes([strings('a', 'bc'), strings('', 'def')].map(tensorRowBytes));
    expect(joined.map(({ tensors }) => tensors)).toEqual([
      { s: { dtype: 'string', dims: [2, 2], data: ['a', 'bc', '', 'def'] } },
    ]);
    expect(joinRowBytes([float([], [1]), float([], [2])].map(tensorRowBytes))).toHaveLength(2);
  });
});

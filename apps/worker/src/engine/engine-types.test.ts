/** Every element type through a real ONNX file and a real engine. */
import { DTYPES, type Dtype } from '@millrace/shared/tensors/tensor';
import { newData } from '@millrace/shared/tensors/tensor-data';
import { tensorRowText as row } from '@millrace/shared/tensors/tensor-rows';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { engineOptions, versionFiles } from '../../../../tests/support/engine-versions.ts';
import { floats, onnxModel } from '../../../../tests/support/onnx-builder.ts';
import { identity } from '../../../../tests/support/onnx-models.ts';
import { createEnginePool, type EnginePool } from './engine-pool.ts';

let versions: ReturnType<typeof versionFiles>;
let pool: EnginePool;
beforeAll(() => {
  versions = versionFiles();
  pool = createEnginePool(engineOptions());
});
afterAll(async () => {
  await pool.close(1_000);
  versions.remove();
});

const SAMPLES: Readonly<Record<Dtype, readonly [ArrayLike<unknown>, string]>> = {
  float16: [[0x3c00, 0x7c00, 0xfe00, 0x8000], '1,"Infinity","NaN",-0'],
  float32: [[0.1, -1e-45, Infinity, Number.NaN], '0.1,-1e-45,"Infinity","NaN"'],
  float64: [[0.1, 5e-324, -Infinity, 1.7976931348623157e308], '0.1,5e-324,"-Infinity",1.7976931348623157e+308'],
  int8: [[-128, 127, 0, 1], '-128,127,0,1'],
  int16: [[-32_768, 32_767, 0, 1], '-32768,32767,0,1'],
  int32: [[-2_147_483_648, 2_147_483_647, 0, 1], '-2147483648,2147483647,0,1'],
  int64: [
    [-(2n ** 63n), 2n ** 63n - 1n, 9_007_199_254_740_993n, 1n],
    '"-9223372036854775808","9223372036854775807","9007199254740993",1',
  ],
  uint8: [[0, 255, 1, 2], '0,255,1,2'],
  uint16: [[0, 65_535, 1, 2], '0,65535,1,2'],
  uint32: [[0, 4_294_967_295, 1, 2], '0,4294967295,1,2'],
  uint64: [[0n, 2n ** 64n - 1n, 1n, 2n], '0,"18446744073709551615",1,2'],
  bool: [[1, 0, 1, 1], 'true,false,true,true'],
  string: [['a', '', 'é\n"\u2028', '日本'], '"a","","é\\n\\"\u2028","日本"'],
};

describe('every type goes through onnxruntime and back', () => {
  test.each(DTYPES)('%s: rows, a batch of them, an empty tensor, a scalar', async (dtype) => {
    const [values, text] = SAMPLES[dtype];
    const data = newData(dtype, 4) as unknown[];
    for (let i = 0; i < 4; i++) data[i] = values[i];
    const tensor = (dims: number[], elements: unknown) => ({ x: { dtype, dims, data: elements as Float32Array } });
    const version = versions.versionOf(identity(dtype, ['n', 'k']));
    const rows = [row(tensor([1, 4], data)), row(tensor([1, 2], data.slice(2))), row(tensor([1, 4], data))];
    const results = await pool.run(version, [...rows, row(tensor([0, 3], newData(dtype, 0)))]);
    expect(results.map((result) => (result.ok ? result.output : result))).toEqual([
      `{"y":{"dtype":"${dtype}","shape":[1,4],"data":[${text}]}}`,
      `{"y":{"dtype":"${dtype}","shape":[1,2],"data":[${text.split(',').slice(2).join(',')}]}}`,
      `{"y":{"dtype":"${dtype}","shape":[1,4],"data":[${text}]}}`,
      `{"y":{"dtype":"${dtype}","shape":[0,3],"data":[]}}`,
    ]);
    const scalar = versions.versionOf(identity(dtype, []), { maxBatch: 1 });
    const [one] = await pool.run(scalar, [row(tensor([], data.slice(0, 1)))]);
    expect(one).toMatchObject({
      ok: true,
      output: `{"y":{"dtype":"${dtype}","shape":[],"data":[${text.split(',')[0]}]}}`,
    });
  });
});

test('an output that is a sequence of tensors is stacked, and tensors of different shapes fail the row', async () => {
  const model = onnxModel({
    nodes: [
      { op: 'Add', inputs: ['x', 'one'], outputs: ['more'] },
      { op: 'SequenceConstruct', inputs: ['x', 'more', 'x'], outputs: ['all'] },
    ],
    inputs: [{ name: 'x', dtype: 'float32', shape: ['n'] }],
    outputs: [{ name: 'all', dtype: 'float32', sequence: true }],
    initializers: [{ name: 'one', dtype: 'float32', dims: [1], data: floats(1) }],
  });
  const version = versions.versionOf(model, { maxBatch: 1 });
  const x = row({ x: { dtype: 'float32', dims: [2], data: Float32Array.of(3, 4) } });
  expect(await pool.run(version, [x])).toMatchObject([
    { ok: true, output: '{"all":{"dtype":"float32","shape":[3,2],"data":[3,4,4,5,3,4]}}' },
  ]);
  const mixed = onnxModel({
    nodes: [{ op: 'SequenceConstruct', inputs: ['x', 'one'], outputs: ['mixed'] }],
    inputs: [{ name: 'x', dtype: 'float32', shape: ['n'] }],
    outputs: [{ name: 'mixed', dtype: 'float32', sequence: true }],
    initializers: [{ name: 'one', dtype: 'float32', dims: [1], data: floats(1) }],
  });
  const other = versions.versionOf(mixed, { maxBatch: 1, model: 'mixed' });
  expect(await pool.run(other, [x])).toMatchObject([
    { ok: false, detail: expect.stringContaining('dimensions must match') },
  ]);
});

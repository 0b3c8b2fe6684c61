import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { familyOf } from '@millrace/local/process/family';
import { listVersions } from '@millrace/shared/model-files/model-folder';
import { readVersion } from '@millrace/shared/model-files/read-version';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type GraphSource, onnxModel } from '../../../../tests/support/onnx-builder.ts';
import {
  addsFromFile,
  centered,
  coupledAbove,
  dice,
  dropout,
  dynamicallyQuantized,
  embedding,
  forest,
  identity,
  lookup,
  perceptron,
  rangeBomb,
  recurrent,
  spinner,
} from '../../../../tests/support/onnx-models.ts';
import { Devices } from '../engine/devices.ts';
import { createVerifier, type Verdict, type Verifier } from './verifier.ts';

let dir: string;
let verifier: Verifier;
let models = 0;

function newVerifier(more: { idleMs?: number } = {}): Verifier {
  const log = pino({ level: 'silent' });
  const devices = new Devices({ names: [], log });
  return createVerifier({ memoryBytes: 700 * 1_048_576, timeoutMs: 20_000, devices, log, ...more });
}

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-verify-'));
  verifier = newVerifier();
});
afterAll(async () => {
  await verifier.close();
  rmSync(dir, { recursive: true });
});

/** Registers the bytes as a model of its own; `files` are beside model.onnx or, with '../', beside the version. */
async function verify(bytes: Buffer, files: Record<string, string | Buffer> = {}): Promise<Verdict> {
  const model = `m${models++}`;
  const folder = join(dir, model, '1');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'model.onnx'), bytes);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  const { versions } = await listVersions(dir);
  const found = versions.find((version) => version.model === model)!;
  try {
    return await verifier.verify(await readVersion(found));
  } catch (error) {
    return { ok: false, reason: (error as Error).message };
  }
}

const x = (more = {}) => ({ name: 'x', dtype: 'float32' as const, shape: ['n', 2], ...more });
const y = (more = {}) => ({ ...x(), name: 'y', ...more });
const graph = (more: Partial<GraphSource>): Buffer =>
  onnxModel({ nodes: [{ op: 'Relu', inputs: ['x'], outputs: ['y'] }], inputs: [x()], outputs: [y()], ...more });

test('the engine ends when no version waits, and the next version gets a new engine', async () => {
  const others = new Set(familyOf(process.pid));
  const shared = verifier;
  verifier = newVerifier({ idleMs: 50 });
  const engines = () => familyOf(process.pid).filter((pid) => !others.has(pid));
  try {
    for (let round = 0; round < 2; round += 1) {
      expect(await verify(graph({}))).toMatchObject({ ok: true });
      await expect.poll(engines, { timeout: 20_000 }).toEqual([]);
    }
    // Both wait: the engine does not end between two versions.
    const verdicts = await Promise.all([verify(graph({})), verify(graph({}))]);
    expect(verdicts.map(({ ok }) => ok)).toEqual([true, true]);
  } finally {
    await verifier.close();
    verifier = shared;
  }
});

describe('what cannot be served is refused with a reason, and the next version is none the worse', () => {
  const bad: [string, () => Buffer, RegExp][] = [
    ['an empty file', () => Buffer.alloc(0), /empty/],
    ['text', () => Buffer.from('<html>404 not found</html>'), /not an ONNX file|ends too early/],
    ['a truncated file', () => perceptron().subarray(0, 60), /truncated/],
    ['a truncated file cut between fields', () => Buffer.from([8, 8]), /no graph/],
    [
      'an unknown operator',
      () => graph({ nodes: [{ op: 'Nonsense', inputs: ['x'], outputs: ['y'] }] }),
      /operator "Nonsense" is not in operator set \d+/,
    ],
    [
      'an unknown domain',
      () => graph({ nodes: [{ op: 'Relu', domain: 'com.example', inputs: ['x'], outputs: ['y'] }] }),
      /com\.example/,
    ],
    [
      'an opset of the future',
      () =>
        onnxModel(
          { nodes: [{ op: 'Relu', inputs: ['x'], outputs: ['y'] }], inputs: [x()], outputs: [y()] },
          { opset: 99 },
        ),
      /needs operator set 99 of ai\.onnx, and this onnxruntime has them up to \d+\.$/,
    ],
    [
      'a graph that goes in circles',
      () =>
        graph({
          nodes: [
            { op: 'Add', inputs: ['x', 'b'], outputs: ['a'] },
            { op: 'Add', inputs: ['x', 'a'], outputs: ['b'] },
            { op: 'Relu', inputs: ['b'], outputs: ['y'] },
          ],
        }),
      /cannot be loaded/,
    ],
    [
      'an input of complex numbers',
      () => graph({ inputs: [x({ dtype: 'complex64' })] }),
      /complex64, which cannot be carried/,
    ],
    [
      'an output that is a sequence, which another operator reads',
      () =>
        graph({
          nodes: [
            { op: 'SequenceConstruct', inputs: ['x'], outputs: ['y'] },
            { op: 'SequenceLength', inputs: ['y'], outputs: ['length'] },
          ],
          outputs: [y({ sequence: true }), { name: 'length', dtype: 'int64', shape: [] }],
        }),
      /"y" is a sequence/,
    ],
    ['no outputs', () => graph({ outputs: [] }), /no outputs/],
    ['data outside its folder', () => addsFromFile('../secret.bin'), /outside its own folder/],
    ['data by absolute path', () => addsFromFile('/etc/passwd'), /outside its own folder/],
    ['data that is not there', () => addsFromFile('weights.bin'), /the folder of the version has no such file/],
  ];
  test.each(bad)('%s', async (_, bytes, reason) => {
    expect(await verify(bytes())).toMatchObject({ ok: false, reason: expect.stringMatching(reason) });
    expect(await verify(perceptron())).toMatchObject({ ok: true });
  });

  test('a bomb of some hundred bytes', { timeout: 60_000 }, async () => {
    const bomb = rangeBomb(200_000_000);
    expect(bomb.length).toBeLessThan(300);
    const verdict = await verify(bomb);
    expect(verdict).toMatchObject({ ok: false, reason: expect.stringContaining('more than 700 MiB') });
    expect(await verify(perceptron())).toMatchObject({ ok: true });
  });

  test('a model whose example never ends', { timeout: 60_000 }, async () => {
    const config = { timeout_ms: 300, row_independent: false, examples: [{ x: ['1000000000000000'] }] };
    const verdict = await verify(spinner(), { 'model.json': JSON.stringify(config) });
    expect(verdict).toMatchObject({ ok: false, reason: 'Example 1 of model.json fails: it took longer than 300 ms' });
    expect(await verify(perceptron())).toMatchObject({ ok: true });
  });

  test('labels of an output that is not there', async () => {
    const verdict = await verify(perceptron(), { 'model.json': '{"labels": {"z": ["a"]}}' });
    expect(verdict).toMatchObject({ ok: false, reason: expect.stringContaining('labels of "z"') });
  });

  test('an example that does not fit', async () => {
    const verdict = await verify(perceptron(), {
      'model.json': JSON.stringify({ examples: [{ x: [[1, 2]] }, { x: [1] }] }),
    });
    expect(verdict).toMatchObject({ ok: false, reason: expect.stringContaining('Example 2') });
  });
});

test('data beside the model is read, and stands in its digest', async () => {
  const weights = Buffer.from(new Float32Array([1, 2]).buffer);
  expect(await verify(addsFromFile('weights.bin'), { 'weights.bin': weights })).toMatchObject({ ok: true });
});

/** The mean of a transposed x of [n, 3] over an axis, laid out as [n] or [3]. */
const meanAfterTranspose = (axis: number): Buffer =>
  onnxModel({
    nodes: [
      { op: 'Transpose', inputs: ['x'], outputs: ['t'], attributes: { perm: [1, 0] } },
      { op: 'ReduceMean', inputs: ['t'], outputs: ['m'], attributes: { axes: [axis], keepdims: 1 } },
      { op: 'Sub', inputs: ['t', 'm'], outputs: ['d'] },
      { op: 'Transpose', inputs: ['d'], outputs: ['y'], attributes: { perm: [1, 0] } },
    ],
    inputs: [{ name: 'x', dtype: 'float32', shape: ['n', 3] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['n', 3] }],
  });

describe('row independence', () => {
  const config = async (bytes: Buffer, json?: object) => {
    const verdict = await verify(bytes, json ? { 'model.json': JSON.stringify(json) } : {});
    if (!verdict.ok) return verdict;
    const { config: found } = verdict.verified;
    return { ...found, why: found.findings?.rows.reason, answers: found.findings?.answers.reason };
  };
  test('is found where it is', async () => {
    expect(await config(perceptron())).toMatchObject({ rowIndependent: true, maxBatch: 64 });
    expect(await config(lookup())).toMatchObject({ rowIndependent: true });
    expect(await config(identity('string', ['n', 'k']))).toMatchObject({ rowIndependent: true });
  });
  test('is not taken from shapes alone', async () => {
    expect(await config(centered())).toMatchObject({
      rowIndependent: false,
      maxBatch: 1,
      why: 'its operator ReduceMean works on all rows of a batch together',
    });
  });
  test('is not there with a state of [2, n, 4], a fixed batch, a scalar or a free rank', async () => {
    expect(await config(recurrent())).toMatchObject({ rowIndependent: false, maxBatch: 1 });
    expect(await config(identity('float32', [1, 3]))).toMatchObject({ rowIndependent: false, maxBatch: 1 });
    expect(await config(identity('float32', []))).toMatchObject({ rowIndependent: false });
    expect(await config(identity('float32', ['n', 'n']))).toMatchObject({ rowIndependent: false });
    expect(await config(identity('float32', undefined))).toMatchObject({ rowIndependent: false });
  });
  test('is not there where an operator works on all rows, wherever it stands', async () => {
    expect(await config(dynamicallyQuantized())).toMatchObject({
      rowIndependent: false,
      maxBatch: 1,
      why: 'its operator DynamicQuantizeLinear works on all rows of a batch together',
    });
    // The rows lie along the second axis after the transposition: the mean over the first is of each row alone.
    expect(await config(meanAfterTranspose(0))).toMatchObject({ rowIndependent: true });
    expect(await config(meanAfterTranspose(1))).toMatchObject({ rowIndependent: false });
    expect(await config(spinner())).toMatchObject({ rowIndependent: false });
  });
  test('is tried with integers of any size that the model takes', async () => {
    for (const above of [3, 100, 40_000, 2_000_000_000]) {
      expect(await config(coupledAbove(above))).toMatchObject({
        rowIndependent: false,
        why: expect.stringMatching(/^its output "y" of a row is another when \d+ rows are run together$/),
      });
    }
    expect(await config(identity('int64', ['n', 2]))).toMatchObject({ rowIndependent: true });
  });
  test('is tried within the tables that integers look up', async () => {
    expect(await config(embedding(50))).toMatchObject({
      rowIndependent: true,
      why: expect.stringMatching(/^\d+ rows gave the same alone and in batches of 2, 7, .*16, 64$/),
    });
  });
  test('is tried with batches of max_batch rows', async () => {
    expect(await config(identity('float32', ['n', 2]), { max_batch: 300 })).toMatchObject({
      rowIndependent: true,
      maxBatch: 300,
      why: expect.stringContaining('16, 300'),
    });
  });
  test('is there where outputs follow the rows by the operators and declare another first dimension', async () => {
    // LightGBM's exports declare one label, PyTorch's exporter a name of its own.
    for (const label of [1, 'other']) {
      const verdict = await verify(forest(20, [label]));
      expect(verdict).toMatchObject({ ok: true, verified: { config: { rowIndependent: true, maxBatch: 64 } } });
      const outputs = verdict.ok ? verdict.verified.signature.outputs : [];
      expect(outputs.map(({ shape }) => shape)).toEqual([['n'], ['n', 3]]);
    }
    // The first dimension of this output is no dimension of the rows: each run has one mean.
    expect(await config(meanAfterTranspose(1))).toMatchObject({ rowIndependent: false });
  });
  test('is what model.json says', async () => {
    expect(await config(perceptron(), { row_independent: false })).toMatchObject({
      rowIndependent: false,
      maxBatch: 1,
    });
    expect(await config(centered(), { row_independent: true, max_batch: 7 })).toMatchObject({ maxBatch: 7 });
  });
});

test('a signature has names, types and shapes; a free rank is distinguished from a scalar', async () => {
  const signature = async (bytes: Buffer) => {
    const verdict = await verify(bytes);
    return verdict.ok ? verdict.verified.signature.inputs : verdict;
  };
  expect(await signature(recurrent())).toEqual([
    { name: 'x', dtype: 'float32', shape: ['n', 4] },
    { name: 'state', dtype: 'float32', shape: [2, 'n', 4] },
  ]);
  expect(await signature(identity('int64', []))).toEqual([{ name: 'x', dtype: 'int64', shape: [] }]);
  expect(await signature(identity('int64', undefined))).toEqual([{ name: 'x', dtype: 'int64', shape: ['...'] }]);
  expect(await signature(identity('float16', ['', 3]))).toEqual([{ name: 'x', dtype: 'float16', shape: ['', 3] }]);
});

describe('whether results repeat', () => {
  const repeats = async (bytes: Buffer, files: Record<string, string> = {}) => {
    const verdict = await verify(bytes, files);
    if (!verdict.ok) throw new Error(verdict.reason);
    const { deterministic, findings } = verdict.verified.config;
    return { deterministic, why: findings?.answers.reason };
  };
  test.each(['graph', 'branch', 'loop', 'function'] as const)(
    'an operator in a %s draws random numbers',
    async (where) => {
      expect(await repeats(dice(where))).toEqual({
        deterministic: false,
        why: 'its operator RandomNormalLike draws random numbers at each run',
      });
    },
  );
  test('dropout draws them in training mode alone', async () => {
    expect(await repeats(dropout(true))).toEqual({
      deterministic: false,
      why: 'its operator Dropout in training mode draws random numbers at each run',
    });
    expect(await repeats(dropout(false))).toMatchObject({ deterministic: true });
  });
  test('a model without such operators repeats its results', async () => {
    expect(await repeats(perceptron())).toEqual({
      deterministic: true,
      why: 'no operator draws random numbers, and 4 runs of one input gave the same',
    });
  });
  test('a handler that draws them is found by the examples', async () => {
    const handler = `
      import { defineHandler, Type } from '@millrace/shared/handler';
      export default defineHandler({
        input: Type.Object({ x: Type.Number() }),
        output: Type.Object({ y: Type.Number() }),
        canonicalize: ({ x }) => x,
        encode: (rows) => ({ x: { dtype: 'float32', dims: [rows.length, 2], data: Float32Array.from(rows.flatMap((x) => [x, x])) } }),
        decode: (tensors, rows) => rows.map(() => ({ y: Math.random() })),
      });`;
    const files = { 'handler.ts': handler, 'model.json': JSON.stringify({ examples: [{ x: 1 }] }) };
    expect(await repeats(perceptron(), files)).toEqual({
      deterministic: false,
      why: 'the result of example 1 of model.json changes between runs',
    });
  });
  test('model.json goes before what is found', async () => {
    const said = { 'model.json': '{"deterministic": true}' };
    expect(await repeats(dice(), said)).toEqual({ deterministic: true, why: 'model.json says so' });
    expect(await repeats(perceptron(), { 'model.json': '{"deterministic": false}' })).toMatchObject({
      deterministic: false,
    });
  });
});

import { hash } from 'node:crypto';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { ModelContent } from '@millrace/shared/model-files/model-folder';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { engineOptions, floatRow, outputOf, versionFiles } from '../../../../../tests/support/engine-versions.ts';
import { floats, type GraphSource, onnxModel } from '../../../../../tests/support/onnx-builder.ts';
import { addsFromFile, forest } from '../../../../../tests/support/onnx-models.ts';
import { createEnginePool, type EnginePool } from '../engine-pool.ts';
import type { LoadedVersion } from '../protocol/loaded-version.ts';

let dir: string;
let pool: EnginePool;
let versions: ReturnType<typeof versionFiles>;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-replaced-'));
  pool = createEnginePool(engineOptions());
  versions = versionFiles();
});
afterEach(async () => {
  await pool.close(0);
  versions.remove();
  rmSync(dir, { recursive: true });
});

/** As `addsFromFile`, with both weights as a constant in the file itself: files of one size with other outputs. */
const constant = (value: number): Buffer =>
  onnxModel({
    nodes: [{ op: 'Add', inputs: ['x', 'w'], outputs: ['y'] }],
    inputs: [{ name: 'x', dtype: 'float32', shape: ['n', 2] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['n', 2] }],
    initializers: [{ name: 'w', dtype: 'float32', dims: [2], data: floats(value, value) }],
  });

/** The weights belong to the branch of an If, where onnxruntime takes none from memory. */
function nested(location: string): Buffer {
  const branch = (op: string): GraphSource => ({
    nodes: [{ op, inputs: ['x', 'w'], outputs: ['z'] }],
    inputs: [],
    outputs: [{ name: 'z', dtype: 'float32', shape: ['n', 2] }],
    initializers: [{ name: 'w', dtype: 'float32', dims: [2], data: { location } }],
  });
  return onnxModel({
    nodes: [
      {
        op: 'If',
        inputs: ['yes'],
        outputs: ['y'],
        attributes: { then_branch: branch('Add'), else_branch: branch('Sub') },
      },
    ],
    inputs: [{ name: 'x', dtype: 'float32', shape: ['n', 2] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['n', 2] }],
    initializers: [{ name: 'yes', dtype: 'bool', dims: [], data: Uint8Array.of(1) }],
  });
}

function put(path: string, bytes: Uint8Array) {
  const full = join(dir, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, bytes);
  return { path: full, bytes: bytes.length, digest: hash('sha256', bytes, 'hex') };
}

const versionOf = (content: ModelContent): LoadedVersion => ({
  ...versions.versionOf(Buffer.of()),
  key: content.model.digest,
  content,
});

async function outputOfRun(version: LoadedVersion): Promise<unknown> {
  const [result] = await pool.run(version, [floatRow([1, 2], 1, 2)]);
  return result?.ok ? outputOf(result).y?.data : result?.detail;
}

/** As after a crash: the next run is in a fresh engine. */
async function freshEngine(): Promise<void> {
  await pool.close(0);
  pool = createEnginePool(engineOptions());
}

describe('a model file that was replaced', () => {
  const FIRST = constant(1);
  const OTHER = constant(2);
  const ways: [string, (path: string) => void][] = [
    ['written in place', (path) => writeFileSync(path, OTHER)],
    [
      'renamed over',
      (path) => {
        writeFileSync(`${path}.new`, OTHER);
        renameSync(`${path}.new`, path);
      },
    ],
    [
      'by a symbolic link',
      (path) => {
        writeFileSync(`${path}.other`, OTHER);
        rmSync(path);
        symlinkSync(`${path}.other`, path);
      },
    ],
    ['cut to nothing', (path) => truncateSync(path, 0)],
    ['removed', (path) => rmSync(path)],
    [
      'by a folder',
      (path) => {
        rmSync(path);
        mkdirSync(path);
      },
    ],
  ];
  test.each(ways)('%s: its outputs never appear, and the first file runs again', async (_, replace) => {
    expect(FIRST.length).toBe(OTHER.length);
    const version = versionOf({ model: put('model.onnx', FIRST), data: [] });
    copyFileSync(join(dir, 'model.onnx'), join(dir, 'kept'));
    expect(await outputOfRun(version)).toEqual([2, 3]);
    replace(join(dir, 'model.onnx'));
    expect(await outputOfRun(version)).toEqual([2, 3]);
    await freshEngine();
    expect(await outputOfRun(version)).toMatch(
      /^the model could not be loaded: model\.onnx is not the file with which the version was registered/,
    );
    rmSync(join(dir, 'model.onnx'), { recursive: true, force: true });
    renameSync(join(dir, 'kept'), join(dir, 'model.onnx'));
    expect(await outputOfRun(version)).toEqual([2, 3]);
  });
});

describe('external data', () => {
  const contentOf = (model: Buffer, location: string): ModelContent => ({
    model: put('model.onnx', model),
    data: [{ ...put(location, floats(10, 20)), location }],
  });
  const layouts: [string, Buffer, string][] = [
    ['of the graph', addsFromFile('w.bin'), 'w.bin'],
    ['in a folder', addsFromFile('sub/w.bin'), 'sub/w.bin'],
    ['with a dot before its path', addsFromFile('./w.bin'), './w.bin'],
    ['of a branch', nested('w.bin'), 'w.bin'],
  ];
  test.each(layouts)('%s is loaded from verified bytes, and from no others', async (_, model, location) => {
    const copies = () => readdirSync(tmpdir()).filter((name) => name.startsWith('millrace-model-'));
    const before = copies();
    const version = versionOf(contentOf(model, location));
    expect(await outputOfRun(version)).toEqual([11, 22]);
    expect(copies().filter((name) => !before.includes(name))).toEqual([]);
    writeFileSync(join(dir, location), floats(30, 40));
    expect(await outputOfRun(version)).toEqual([11, 22]);
    await freshEngine();
    expect(await outputOfRun(version)).toContain('w.bin is not the file with which the version was registered');
    writeFileSync(join(dir, location), floats(10, 20));
    expect(await outputOfRun(version)).toEqual([11, 22]);
  });

  test('that the digest does not cover is not read', async () => {
    put('w.bin', floats(10, 20));
    for (const location of ['w.bin', join(dir, 'w.bin'), '../w.bin'])
      expect(await outputOfRun(versionOf({ model: put('model.onnx', addsFromFile(location)), data: [] }))).toMatch(
        /could not be loaded/,
      );
  });
});

test('the trees of a forest have the same sum for a row alone and in a batch, in an engine of several threads', async () => {
  await pool.close(0);
  pool = createEnginePool(engineOptions({ threads: 4 }));
  const version = versionOf({ model: put('forest.onnx', forest(200)), data: [] });
  const rows = Array.from({ length: 16 }, (_, at) => floatRow([1, 2], at % 11, (at * 7) % 11));
  const together = await pool.run(version, rows);
  for (const [at, row] of rows.entries()) {
    const [alone] = await pool.run(version, [row]);
    expect(outputOf(alone!)).toEqual(outputOf(together[at]!));
  }
});

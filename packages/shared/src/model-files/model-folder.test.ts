import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { onnxModel } from '../../../../tests/support/onnx-builder.ts';
import { addsFromFile, perceptron } from '../../../../tests/support/onnx-models.ts';
import { fingerprint, listVersions } from './model-folder.ts';
import { type FoundVersion, readVersion } from './read-version.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-folder-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

function write(path: string, content: string | Buffer): string {
  const full = join(dir, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, content);
  return full;
}

async function only(): Promise<FoundVersion> {
  const { versions } = await listVersions(dir);
  expect(versions).toHaveLength(1);
  return readVersion(versions[0]!);
}

const CSV = 'key,name,aliases,vector\na,Aspirin,ASA|acetylsalicylic acid,\n';
const HANDLER = "import { width } from './width.ts';\nexport default {};\n";

/** The forms of protobuf's text format that Triton's examples have. */
const TRITON = `
name: "resnet" # the name
platform: 'onnxruntime_onnx'; max_batch_size : 8
default_model_filename: "net" ".onnx"
input [ { name: "x" data_type: TYPE_FP32 dims: [ 3, -1, 1e-5 ] reshape { shape: [ ] } } ]
output: [ { name: "y", data_type: TYPE_FP32, dims: [ 2 ], label_filename: "labels.txt" }, < name: "z" label_filename: "" > ]
output { name: "none" label_filename: "missing.txt" }
parameters { key: "quoted \\"text\\"" value: { string_value: "a/b" } }
instance_group [ { kind: KIND_CPU count: 2 } ]
`;

function writeAll(): void {
  write('m/1/model.onnx', perceptron());
  write('m/model.json', '{"entities": ["drug"], "timeout_ms": 5}');
  write('m/handler.ts', HANDLER);
  write('m/width.ts', 'export const width = 3;');
  write('m/entities/drug.csv', CSV);
}

describe('the list of a models folder', () => {
  test('has the versions with a model, sorted by name, and no other folders', async () => {
    write('b/2/model.onnx', perceptron());
    write('a/1/model.onnx', perceptron());
    write('a/10/model.onnx', perceptron());
    write('a/training/notes.txt', 'x');
    write('a/.git/model.onnx', perceptron());
    write('readme.md', 'x');
    const { versions, problems } = await listVersions(dir);
    expect(versions.map(({ model, version }) => `${model}/${version}`)).toEqual(['a/1', 'a/10', 'b/2']);
    expect(problems).toEqual([]);
  });
  test('has problems for invalid names and for a model without a version', async () => {
    for (const bad of ['Upper/1', 'a:b/1', 'sp ace/1', 'ok/1:2', '-x/1']) write(`${bad}/model.onnx`, perceptron());
    write('loose/model.onnx', perceptron());
    write('ResNet.onnx', perceptron());
    write('named/1/named.onnx', perceptron());
    write('none/1/readme.txt', '');
    const { versions, problems } = await listVersions(dir);
    expect(versions).toEqual([]);
    expect(problems.map(({ path }) => path).sort()).toEqual([
      '-x/1',
      'ResNet.onnx',
      'Upper/1',
      'a:b/1',
      'loose',
      'named/1',
      'ok/1:2',
      'sp ace/1',
    ]);
    expect(problems.find(({ path }) => path === 'loose')?.message).toContain('loose/1/model.onnx');
    expect(problems.find(({ path }) => path === 'ResNet.onnx')?.message).toContain('to resnet/1/model.onnx');
    expect(problems.find(({ path }) => path === 'named/1')?.message).toContain('rename named/1/named.onnx');
    expect(problems.find(({ path }) => path === 'ok/1:2')?.message).toContain('"1:2" cannot be a name');
  });
  test("has a version whose model.onnx is a folder, which is Triton's layout of several files", async () => {
    writeAll();
    const plain = await only();
    rmSync(join(dir, 'm/1/model.onnx'));
    write('m/1/model.onnx/model.onnx', addsFromFile('weights.bin'));
    write('m/1/model.onnx/weights.bin', Buffer.alloc(8));
    write('m/1/model.json', '{"timeout_ms": 7}');
    const found = await only();
    expect(found.modelPath).toBe(join(dir, 'm/1/model.onnx/model.onnx'));
    expect(found.content.data.map(({ path, location }) => [path, location])).toEqual([
      [join(dir, 'm/1/model.onnx/weights.bin'), 'weights.bin'],
    ]);
    expect(found.file).toEqual({ entities: ['drug'], timeout_ms: 7 });
    expect(found.digest).not.toBe(plain.digest);
    // The digest of the same files in one folder is the same: the layout is no content.
    const inner = ['model.onnx', 'weights.bin'].map(
      (name) => [name, readFileSync(join(dir, 'm/1/model.onnx', name))] as const,
    );
    rmSync(join(dir, 'm/1/model.onnx'), { recursive: true });
    for (const [name, bytes] of inner) write(`m/1/${name}`, bytes);
    expect((await only()).digest).toBe(found.digest);
  });
  test("has the model file and the labels of Triton's config.pbtxt", async () => {
    writeAll();
    const plain = await only();
    write('m/config.pbtxt', TRITON);
    expect((await listVersions(dir)).problems).toEqual([
      {
        path: 'm/1',
        message: expect.stringContaining('must be named net.onnx by default_model_filename in config.pbtxt'),
      },
    ]);
    rmSync(join(dir, 'm/1/model.onnx'));
    write('m/1/net.onnx', perceptron());
    const unlabelled = await only();
    expect(unlabelled.modelPath).toBe(join(dir, 'm/1/net.onnx'));
    expect(unlabelled.digest).toBe(plain.digest);
    const before = await fingerprint(unlabelled);
    write('m/labels.txt', 'cat\r\nblack dog\n\n');
    const found = await only();
    expect(found.file.labels).toEqual({ y: ['cat', 'black dog'] });
    expect((await fingerprint(found)).text).not.toBe(before.text);
    // Earlier releases did not read labels. Their versions stay in service, without labels.
    expect(found.digest).not.toBe(plain.digest);
    expect(found.earlier[0]).toMatchObject({ digest: plain.digest, file: { entities: ['drug'], timeout_ms: 5 } });
    expect(found.earlier[0]?.file.labels).toBeUndefined();
    write('m/model.json', '{"labels": {"y": ["a", "b"]}}');
    expect((await only()).file.labels).toEqual({ y: ['a', 'b'] });
    // A folder of several files.
    rmSync(join(dir, 'm/1/net.onnx'));
    write('m/1/net.onnx/model.onnx', perceptron());
    expect((await only()).modelPath).toBe(join(dir, 'm/1/net.onnx/model.onnx'));
  });
  test.each([
    ['a model file elsewhere', 'default_model_filename: "../../other/1/model.onnx"', 'is not a path inside the folder'],
    ['an absolute path', 'default_model_filename: "/etc/passwd"', 'is not a path inside the folder'],
    ['labels elsewhere', 'output [ { name: "y" label_filename: "../../secret" } ]', 'is not a path inside the folder'],
    ['a bracket too many', 'name: "a"\n  }', '"}" is not expected there'],
    ['an open bracket', 'output [ {', '"the end of the file" is not expected there'],
    ['an open text', 'name: "a\n"', 'line 1 is not'],
    ['many levels', `a ${'{ a '.repeat(100)}`, 'nested messages'],
    ['a megabyte', '#'.repeat(1_100_000), 'more than 1048576 bytes'],
  ])('ignores a config.pbtxt with %s, and has a problem', async (_, text, problem) => {
    write('m/1/model.onnx', perceptron());
    write('m/config.pbtxt', text);
    const { versions, problems } = await listVersions(dir);
    expect(versions.map(({ modelPath }) => modelPath)).toEqual([join(dir, 'm/1/model.onnx')]);
    expect(problems).toEqual([{ path: 'm', message: expect.stringContaining(problem) }]);
    expect(problems[0]?.message).toMatch(/^m\/config\.pbtxt is ignored: /);
  });
  test('refuses data outside a model.onnx folder, and has problems in its model.json by their paths', async () => {
    write('m/1/model.onnx/model.onnx', addsFromFile('../weights.bin'));
    write('m/1/weights.bin', Buffer.alloc(8));
    await expect(only()).rejects.toThrow('outside its own folder');
    write('m/1/model.json', '{"timeout_ms": "x"}');
    await expect(only()).rejects.toThrow('m/1/model.json');
  });
  test("a version's own files go before its model's", async () => {
    writeAll();
    write('m/1/handler.ts', 'export default {};');
    write('m/1/model.json', '{"timeout_ms": 7}');
    write('m/1/entities/drug.csv', CSV);
    const found = await only();
    expect(found.file).toEqual({ entities: ['drug'], timeout_ms: 7 });
    expect(found.handlerPath).toBe(join(dir, 'm/1/handler.ts'));
    expect(found.entityPaths).toEqual({ drug: join(dir, 'm/1/entities/drug.csv') });
  });
  test('fails for a missing folder', async () => {
    await expect(listVersions(join(dir, 'nowhere'))).rejects.toThrow('ENOENT');
  });
});

describe('the digest', () => {
  test('is the same for the same content at any path and time', async () => {
    writeAll();
    const { digest } = await only();
    utimesSync(join(dir, 'm/1/model.onnx'), 1, 1);
    expect((await only()).digest).toBe(digest);
    const elsewhere = mkdtempSync(join(tmpdir(), 'millrace-folder-'));
    for (const path of ['m/1/model.onnx', 'm/model.json', 'm/handler.ts', 'm/width.ts', 'm/entities/drug.csv']) {
      mkdirSync(dirname(join(elsewhere, path)), { recursive: true });
      copyFileSync(join(dir, path), join(elsewhere, path));
    }
    const { versions } = await listVersions(elsewhere);
    expect((await readVersion(versions[0]!)).digest).toBe(digest);
    rmSync(elsewhere, { recursive: true });
  });
  const changes: [string, string, string | Buffer, boolean][] = [
    ['the model', 'm/1/model.onnx', Buffer.concat([perceptron(), Buffer.from([18, 1, 0x78])]), true],
    ['the handler', 'm/handler.ts', `${HANDLER}// other`, true],
    ['a file that the handler imports', 'm/width.ts', 'export const width = 4;', true],
    ['an entity', 'm/entities/drug.csv', `${CSV}b,Ibuprofen,,\n`, true],
    ['labels', 'm/model.json', '{"entities": ["drug"], "timeout_ms": 5, "labels": {"y": ["a"]}}', true],
    ['settings that are not in outputs', 'm/model.json', '{"entities": ["drug"], "cache": {"ttl_s": 9}}', false],
    ['an entity that is not read', 'm/entities/other.csv', CSV, false],
    ['a file beside', 'm/1/notes.txt', 'x', false],
  ];
  test.each(changes)('of a change of %s', async (_, path, content, changed) => {
    writeAll();
    const { digest } = await only();
    write(path, content);
    expect((await only()).digest !== digest).toBe(changed);
  });
  test('equals the digest of 0.1.0 for a handler without named files, and a version with named files has both digests', async () => {
    writeAll();
    const first = await only();
    const own = { digest: first.digest, handlerDigest: first.handlerDigest, file: first.file, task: null };
    expect(first.earlier).toEqual([own, own]);
    write('m/handler.ts', `${HANDLER}const path = './labels.txt';`);
    const { earlier } = await only();
    write('m/labels.txt', 'a');
    const named = await only();
    expect(named.earlier[0]).toEqual(earlier[0]);
    expect(named.digest).not.toBe(earlier[0]?.digest);
  });
  test('covers external data', async () => {
    const initializers = [{ name: 'w', dtype: 'float32' as const, dims: [2], data: { location: 'w.bin' } }];
    const value = (name: string) => ({ name, dtype: 'float32' as const, shape: ['n', 2] });
    const nodes = [{ op: 'Add', inputs: ['x', 'w'], outputs: ['y'] }];
    write('m/1/model.onnx', onnxModel({ nodes, inputs: [value('x')], outputs: [value('y')], initializers }));
    await expect(only()).rejects.toThrow('"w.bin", but the folder of the version has no such file');
    write('m/1/w.bin', Buffer.alloc(8));
    const { digest } = await only();
    write('m/1/w.bin', Buffer.alloc(8, 1));
    expect((await only()).digest).not.toBe(digest);
  });
});

test('a pointer of Git LFS is recognized', async () => {
  write('m/1/model.onnx', 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n');
  const { versions } = await listVersions(dir);
  await expect(readVersion(versions[0]!)).rejects.toThrow('git lfs pull');
});

test('a fingerprint changes with any file of the version and with any file that the handler imports', async () => {
  writeAll();
  const print = async () => (await fingerprint((await listVersions(dir)).versions[0]!)).text;
  const seen = new Set([await print(), await print()]);
  expect(seen.size).toBe(1);
  for (const path of [
    'm/1/model.onnx',
    'm/model.json',
    'm/width.ts',
    'm/handler.ts',
    'm/entities/drug.csv',
    'm/1/w.bin',
  ]) {
    write(path, `${Math.random()}`.repeat(3));
    seen.add(await print());
  }
  expect(seen.size).toBe(7);
});

test('a problem names the kind of a model.onnx that is not a file', async () => {
  for (const path of ['folder/1/model.onnx', 'pipe/1', 'link/1']) mkdirSync(join(dir, path), { recursive: true });
  execFileSync('mkfifo', [join(dir, 'pipe/1/model.onnx')]);
  symlinkSync('nowhere', join(dir, 'link/1/model.onnx'));
  const { versions, problems } = await listVersions(dir);
  expect(versions).toEqual([]);
  expect(Object.fromEntries(problems.map(({ path, message }) => [path, message.split(':')[0]]))).toEqual({
    'folder/1': 'folder/1/model.onnx is a directory',
    'pipe/1': 'pipe/1/model.onnx is not a regular file',
    'link/1': 'link/1/model.onnx is a link without a target',
  });
});

import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { HandlerContext } from './handler.ts';
import { digestHandler, HandlerChangedError, handlerFiles, importHandler } from './handler-file.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-handler-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

function write(path: string, content: string): string {
  const full = join(dir, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, content);
  return full;
}

const context = {} as HandlerContext;

test('the handler of docs/models.md does what the page states', async () => {
  const docs = readFileSync(new URL('../../../../docs/models.md', import.meta.url), 'utf8');
  const path = write('m/handler.ts', /```ts\n([\s\S]*?)```/.exec(docs)![1]!);
  const handler = await importHandler(path, await digestOf(path));
  const row = handler.canonicalize({ text: 'Good, GOOD and great' }, context);
  expect(row).toEqual([0, 2, 1]);
  expect(
    handler.encode(
      [
        [0, 2, 1],
        [1, 0, 0],
      ],
      context,
    ),
  ).toEqual({
    counts: { dtype: 'float32', dims: [2, 3], data: Float32Array.of(0, 2, 1, 1, 0, 0) },
  });
  const score = { dtype: 'float32' as const, dims: [2], data: Float32Array.of(1, -1) };
  expect(handler.decode({ score }, [[0], [1]], context)).toEqual([{ score: 1 }, { score: -1 }]);
  expect(() => handler.canonicalize({ text: '!' }, context)).toThrow('There is no word in the text.');
});

const digestOf = async (path: string) => (await digestHandler(path)).digest;

describe('the digest', () => {
  const READS = `import { readFileSync } from 'node:fs';
import { join } from 'node:path';
// It's read when the module loads.
const labels = readFileSync(new URL('./labels%20of.json', import.meta.url));
const words = readFileSync(join(import.meta.dirname, "data/words.txt"));
const absent = ['./absent.txt', 'C/C=C/C', 'model.onnx'];
`;
  test('covers every file that the handler names and opens by itself', async () => {
    const path = write('named/handler.ts', READS);
    const { digest, earlier } = await digestHandler(path);
    expect(earlier).toEqual([digest, digest]);
    const files = ['named/labels of.json', 'named/data/words.txt'].map((file) => write(file, '1'));
    for (const file of ['named/model.onnx', 'named/data/other.txt']) write(file, '1');
    expect(new Set(await handlerFiles(path))).toEqual(new Set([path, ...files]));
    const seen = new Set([digest, await digestOf(path)]);
    for (const file of files) {
      writeFileSync(file, '2');
      seen.add(await digestOf(path));
    }
    expect(seen.size).toBe(4);
    // The digest of 0.1.0: a version that 0.1.0 registered stays in service.
    expect((await digestHandler(path)).earlier[0]).toBe(digest);
    writeFileSync(join(dir, 'named/data/other.txt'), '2');
    expect(seen).toContain(await digestOf(path));
  });
  test('covers every file with a relative import, and no other file', async () => {
    const path = write(
      'm/handler.ts',
      "import { a } from './a.ts';\nexport * from \"../shared/b.ts\";\nimport 'node:fs';\n",
    );
    write('m/a.ts', "export const a = await import('./deep/c.ts');\n");
    write('shared/b.ts', 'export const b = 1;\n');
    write('m/deep/c.ts', "import '../handler.ts';\n");
    write('m/other.ts', '');
    const files = ['m/handler.ts', 'm/a.ts', 'shared/b.ts', 'm/deep/c.ts'].map((file) => join(dir, file));
    expect(new Set(await handlerFiles(path))).toEqual(new Set(files));
    const seen = new Set([await digestOf(path)]);
    for (const file of files) {
      writeFileSync(file, `${readFileSync(file, 'utf8')}// changed\n`);
      seen.add(await digestOf(path));
    }
    write('m/other.ts', 'changed');
    seen.add(await digestOf(path));
    expect(seen.size).toBe(5);
  });
  test('covers the versions of the packages that the handler imports and that these packages need', async () => {
    const path = write(
      'm/handler.ts',
      "import { fs } from 'node:fs';\nimport 'absent';\nimport a from 'a/deep.js';\nimport './b.ts';\n",
    );
    write('m/b.ts', "const b = await import('@scope/b');\nimport path from 'path';\n");
    const before = await digestHandler(path);
    expect(before.packages).toEqual([]);
    const manifest = (file: string, value: object) => write(`${file}/package.json`, JSON.stringify(value));
    const needs = { c: '^1.0.0', gone: '1', native: '1' };
    manifest('m/node_modules/a', { name: 'a', version: '1.0.0', dependencies: needs, optionalDependencies: needs });
    manifest('node_modules/@scope/b', { name: '@scope/b', version: '2.0.0', peerDependencies: { c: '*', d: '*' } });
    for (const name of ['c', 'd', 'native', 'unused']) manifest(`node_modules/${name}`, { name, version: '1.0.0' });
    manifest('node_modules/d', { name: 'd', version: '1.0.0', dependencies: { '@scope/b': '*' } });
    const after = await digestHandler(path);
    expect(after.packages).toEqual(['@scope/b@2.0.0', 'a@1.0.0', 'c@1.0.0', 'd@1.0.0']);
    expect(after.earlier).toEqual([before.digest, before.digest]);
    expect(await handlerFiles(path)).toContain(join(dir, 'node_modules/d/package.json'));
    manifest('node_modules/unused', { name: 'unused', version: '3.0.0' });
    expect(await digestOf(path)).toBe(after.digest);
    // Another place with the same versions is the same handler: two machines install the same packages in different folders.
    manifest('m/node_modules/d', { name: 'd', version: '1.0.0', dependencies: { '@scope/b': '*' } });
    expect(await digestOf(path)).toBe(after.digest);
    manifest('node_modules/d', { name: 'd', version: '1.0.1' });
    expect((await digestHandler(path)).packages).toContain('d@1.0.1');
    await expect(importHandler(path, after.digest)).rejects.toThrow(
      '(here: @scope/b@2.0.0, a@1.0.0, c@1.0.0, d@1.0.1)',
    );
  });
  test('covers the files of a package that is linked or has no version', async () => {
    const path = write('m/handler.ts', "import 'linked';\nconst own = require('own');\n");
    write('linked/package.json', '{"name": "linked", "version": "1.0.0"}');
    const files = [write('linked/src/index.js', '1'), write('m/node_modules/own/index.js', '1')];
    write('linked/node_modules/other/index.js', '1');
    symlinkSync(join(dir, 'linked'), join(dir, 'm/node_modules/linked'));
    const seen = new Set([await digestOf(path)]);
    expect(await handlerFiles(path)).toEqual(expect.arrayContaining(files));
    for (const file of files) {
      writeFileSync(file, '2');
      seen.add(await digestOf(path));
    }
    expect(seen.size).toBe(3);
    write('linked/node_modules/other/index.js', '2');
    expect(seen).toContain(await digestOf(path));
  });
  test.each<[string, object, string[]]>([
    ['that the project names', { dependencies: { millrace: '1', a: '1' } }, ['a@1.0.0']],
    ['of a project without Millrace', { name: 'mine' }, ['a@1.0.0']],
    ['that only Millrace needs', { dependencies: { millrace: '1', b: '1' } }, []],
    ['of Millrace itself', { name: '@millrace/repository', dependencies: { a: '1' } }, []],
  ])('a package %s', async (_, project, packages) => {
    const path = write('models/m/handler.ts', "import 'a';\n");
    write('package.json', JSON.stringify(project));
    write('node_modules/a/package.json', '{"name": "a", "version": "1.0.0"}');
    expect((await digestHandler(path)).packages).toEqual(packages);
  });
  test('fails for a package with more files than a scan may read', async () => {
    const path = write('m/handler.ts', "import 'large';\n");
    for (let file = 0; file <= 2_000; file++) write(`m/node_modules/large/${file}.js`, '');
    await expect(digestHandler(path)).rejects.toThrow('has no version and more than 2000 files');
  });
  test('fails for a missing file', async () => {
    const path = write('m/handler.ts', "import './gone.ts';\n");
    await expect(digestHandler(path)).rejects.toThrow('imports gone.ts, which cannot be read');
  });
});

describe('importing', () => {
  const SOURCE = `
    import { Type } from '@millrace/handler';
    import { Type as OldName } from '@millrace/shared/handler';
    import loadRDKit from '@rdkit/rdkit';
    import { value } from './value.ts';
    const none = () => [];
    const canonicalize = () => [value, Type === OldName && typeof Type, typeof loadRDKit, ''].join(' ');
    export default { input: {}, output: {}, canonicalize, encode: none, decode: none };
  `;
  // Runs in a process of its own, because Vitest resolves imports by itself and the test is about Node.
  test('loads a changed file that the handler imports, and finds the packages of Millrace from any folder', {
    timeout: 20_000,
  }, async () => {
    const path = write('m/handler.ts', SOURCE);
    const source = `
      import { writeFileSync } from 'node:fs';
      import { digestHandler, importHandler } from '${new URL('./handler-file.ts', import.meta.url).href}';
      for (const value of ['a', 'b']) {
        writeFileSync('${join(dir, 'm/value.ts')}', \`export const value = '\${value}';\`);
        const handler = await importHandler('${path}', (await digestHandler('${path}')).digest);
        process.stdout.write(handler.canonicalize());
      }
    `;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', source]);
    expect(stdout).toBe('a object function b object function ');
  });
  test('fails with the name of a missing package and of the file that imports the package', async () => {
    const path = write('m/handler.ts', "import 'no-such-package';\n");
    const source = `
      import { digestHandler, importHandler } from '${new URL('./handler-file.ts', import.meta.url).href}';
      await importHandler('${path}', (await digestHandler('${path}')).digest).catch(({ message }) => process.stdout.write(message));
    `;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', source]);
    expect(stdout).toMatch(
      /^Cannot find package 'no-such-package', which handler\.ts imports: run `npm install no-such-package` in .*m\.$/,
    );
  });
  test('runs the text with the digest, and no text that replaced the file', async () => {
    const path = write('m/handler.ts', "import { value } from './value.ts';\nexport default { value };\n");
    const value = write('m/value.ts', "export const value = 'first';\n");
    const digest = await digestOf(path);
    writeFileSync(value, "export const value = 'other';\n");
    await expect(importHandler(path, digest)).rejects.toThrow(HandlerChangedError);
    writeFileSync(value, "export const value = 'first';\n");
    writeFileSync(path, `${readFileSync(path, 'utf8')}// other`);
    await expect(importHandler(path, digest)).rejects.toThrow(/is not the file with which the version was registered/);
  });
  test('fails after a file that the handler names was replaced', async () => {
    const file = write('replaced/labels.json', '["a"]');
    write('replaced/value.ts', "export const value = 'a';");
    const path = write('replaced/handler.ts', `const file = new URL('./labels.json', import.meta.url);\n${SOURCE}`);
    const digest = await digestOf(path);
    writeFileSync(file, '["b"]');
    await expect(importHandler(path, digest)).rejects.toThrow(HandlerChangedError);
    writeFileSync(file, '["a"]');
    await importHandler(path, digest);
  });
  test('rejects files that the digest does not cover', async () => {
    write('m/value.ts', "export const value = 'uncovered';\n");
    for (const specifier of ['`./value.ts`', "['./val', 'ue.ts'].join('')", `'file://${join(dir, 'm/value.ts')}'`]) {
      const path = write(
        'm/handler.ts',
        `const none = () => [];\nawait import(${specifier});\nexport default { input: {}, output: {}, canonicalize: none, encode: none, decode: none };\n`,
      );
      await expect(importHandler(path, await digestOf(path))).rejects.toThrow('which its digest does not cover');
    }
  });
  test('loads JSON, CommonJS and JavaScript beside the handler from the verified texts', async () => {
    write('m/table.json', '{"a": 1}');
    write('m/old.cjs', 'module.exports = { b: 2 };');
    write('m/plain.js', 'export const c = 3;');
    const path = write(
      'm/handler.ts',
      `import table from './table.json' with { type: 'json' };
       import old from './old.cjs';
       import { c } from './plain.js';
       const canonicalize = (): number[] => [table.a, old.b, c];
       const none = () => [];
       export default { input: {}, output: {}, canonicalize, encode: none, decode: none };`,
    );
    const handler = await importHandler(path, await digestOf(path));
    expect(handler.canonicalize(null as never, context)).toEqual([1, 2, 3]);
  });
  test('fails for a module without a handler, with the missing part', async () => {
    const path = write('m/handler.ts', 'export default { input: {}, output: {}, encode() {} };');
    await expect(importHandler(path, await digestOf(path))).rejects.toThrow('"canonicalize" is missing');
  });
});

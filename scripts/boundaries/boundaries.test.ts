import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { reachedFrom } from './import-graph.ts';

const root = path.resolve(import.meta.dirname, '../..');

interface Boundary {
  /** Files or folders, as globs. */
  of: string;
  /** Packages it must not reach, however many files lie between. */
  packages: RegExp;
  /** Files of ours it must not reach. */
  files: RegExp;
}

const boundaries: Record<string, Boundary> = {
  'the API loads no ONNX and nothing of the worker': {
    of: 'apps/api/src/**/*.ts',
    packages: /^onnxruntime/,
    files: /^(apps\/worker|packages\/local|scripts|tests|bench)\//,
  },
  'the worker serves no HTTP but its health, and knows nothing of the API': {
    of: 'apps/worker/src/**/*.ts',
    packages: /fastify/,
    files: /^(apps\/api|packages\/local|scripts|tests|bench)\//,
  },
  'shared knows neither': {
    of: 'packages/shared/src/**/*.ts',
    packages: /^onnxruntime|fastify/,
    files: /^(apps|packages\/local|scripts|tests|bench|models)\//,
  },
  'a handler runs in API and engine alike': {
    of: 'models/*/handler.ts',
    packages: /^onnxruntime|fastify|^bullmq|^ioredis|^pg$/,
    files: /^(apps|packages\/local|scripts|tests|bench)\//,
  },
  'what runs servers on this machine needs none of the product': {
    of: 'packages/local/src/**/*.ts',
    packages: /^onnxruntime|fastify|^bullmq|^ioredis/,
    files: /^(apps|packages\/shared|scripts|tests|bench|models)\//,
  },
};

describe.each(Object.entries(boundaries))('%s', (_, boundary) => {
  // Tests may reach further: an end-to-end check imports what it checks.
  const entries = globSync(boundary.of, { cwd: root }).filter((file) => !file.endsWith('.test.ts'));
  const { files, packages } = reachedFrom(entries, (file) => readFileSync(path.join(root, file), 'utf8'), resolveOwn);

  test('in its packages', () => {
    expect(crossings(packages, boundary.packages)).toEqual([]);
  });

  test('in its files', () => {
    expect(crossings(files, boundary.files)).toEqual([]);
  });
});

function crossings(reached: Map<string, string[]>, forbidden: RegExp): string[] {
  return [...reached]
    .filter(([name]) => forbidden.test(name))
    .map(([name, way]) => `${name} by way of ${way.join(' > ')}`);
}

/** The file of an import of our own packages, by the `exports` of their package.json. */
function resolveOwn(specifier: string): string | undefined {
  const [, name, module] = /^@millrace\/([^/]+)(?:\/(.+))?$/.exec(specifier) ?? [];
  if (!name) return undefined;
  if (name === 'handler') return 'packages/handler/src/handler.ts';
  if (!module) return undefined;
  if (specifier === '@millrace/shared/handler') return 'packages/shared/src/model-files/handler.ts';
  const folder = name === 'api' || name === 'worker' ? `apps/${name}` : `packages/${name}`;
  return `${folder}/src/${module}.ts`;
}

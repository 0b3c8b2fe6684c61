import { describe, expect, test } from 'vitest';
import { importsOf, reachedFrom } from './import-graph.ts';

describe('importsOf', () => {
  test('finds every form of import', () => {
    const source = [
      `import a from 'a';`,
      `import { b,`,
      `  bb } from "b/deep";`,
      `import type { C } from 'c';`,
      `import 'd';`,
      `export { e } from 'e';`,
      `export * from './f.ts';`,
      `const g = await import('g');`,
    ].join('\n');
    expect(importsOf(source)).toEqual(['a', 'b/deep', 'c', 'd', 'e', './f.ts', 'g']);
  });

  test('ignores imports inside strings and comments', () => {
    expect(importsOf(`const text = "import x from 'y'"; // from 'z'`)).toEqual([]);
  });
});

describe('reachedFrom', () => {
  const files: Record<string, string> = {
    'apps/one/main.ts': `import './part.ts';\nimport 'node:fs';`,
    'apps/one/part.ts': `import { x } from '@own/two/deep';\nimport './main.ts';`,
    'packages/two/deep.ts': `import '@scope/theirs/sub';`,
  };
  const resolveOwn = (specifier: string) =>
    specifier.startsWith('@own/two/') ? `packages/two/${specifier.slice('@own/two/'.length)}.ts` : undefined;

  test('follows files and Millrace packages, and returns the chain of imports', () => {
    const reached = reachedFrom(['apps/one/main.ts'], (file) => files[file] ?? '', resolveOwn);
    expect([...reached.files.keys()]).toEqual(Object.keys(files));
    expect(reached.packages).toEqual(new Map([['@scope/theirs', Object.keys(files)]]));
  });
});

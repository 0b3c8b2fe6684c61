import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cyclesOf, faultsOf, reportTree } from './folder-graph.ts';
import { ROOT, type TreePlan } from './folder-plan.ts';

const plan: TreePlan = {
  root: 'src',
  maxEdges: 2,
  folders: { [ROOT]: ['high', 'low'], high: ['low'], low: [] },
  tolerated: [],
};

let repository: string;
beforeEach(() => {
  repository = mkdtempSync(path.join(tmpdir(), 'boundaries-'));
});
afterEach(() => rmSync(repository, { recursive: true }));

function write(files: Record<string, string>): void {
  for (const [file, text] of Object.entries(files)) {
    const place = path.join(repository, 'src', file);
    mkdirSync(path.dirname(place), { recursive: true });
    writeFileSync(place, text);
  }
}

const faults = (changed: Partial<TreePlan> = {}): string[] => {
  const tree = { ...plan, ...changed };
  return faultsOf(reportTree(repository, tree), tree);
};

describe('a tree', () => {
  test('that follows the plan has no faults', () => {
    write({ 'main.ts': `import './high/a.ts';`, 'high/a.ts': `import type { B } from '../low/b.ts';`, 'low/b.ts': '' });
    expect(faults()).toEqual([]);
  });

  test('with an upward import has a fault that names the files', () => {
    write({ 'high/a.ts': '', 'low/b.ts': `import '../high/a.ts';` });
    expect(faults()).toEqual(['src: the plan does not allow low -> high (low/b.ts -> high/a.ts)']);
  });

  test('with folders and files that import each other has a fault for each cycle', () => {
    write({ 'high/a.ts': `import '../low/b.ts';`, 'low/b.ts': `import '../high/a.ts';` });
    expect(faults({ tolerated: ['low -> high'] })).toEqual([
      'src: these files import each other: high/a.ts, low/b.ts',
      'src: these folders import each other: high, low',
    ]);
  });

  test('with a folder that the plan does not name has a fault', () => {
    write({ 'other/c.ts': '' });
    expect(faults()).toEqual(['src: the plan does not name the folder other']);
  });

  test('with a tolerated import that no longer exists has a fault', () => {
    write({ 'low/b.ts': '' });
    expect(faults({ tolerated: ['low -> high'] })).toEqual([
      'src: low -> high no longer exists: remove the pair from the tolerated list',
    ]);
  });

  test('with more pairs of folders than the plan allows has a fault', () => {
    write({ 'main.ts': `import './high/a.ts';\nimport './low/b.ts';`, 'high/a.ts': '', 'low/b.ts': '' });
    expect(faults({ maxEdges: 1 })).toEqual(['src: 2 pairs of folders, at most 1 are allowed']);
  });

  test('does not include tests', () => {
    write({ 'high/a.ts': '', 'low/b.test.ts': `import '../high/a.ts';` });
    expect(faults()).toEqual([]);
  });
});

test('a cycle of three nodes is a single group', () => {
  const graph = new Map([
    ['a', new Set(['b'])],
    ['b', new Set(['c'])],
    ['c', new Set(['a', 'd'])],
    ['d', new Set<string>()],
  ]);
  expect(cyclesOf(graph)).toEqual([['a', 'b', 'c']]);
});

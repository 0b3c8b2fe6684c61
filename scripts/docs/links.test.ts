/** Compares the links, the paths and the folder tree of the documents with the repository. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { plans } from '../boundaries/folder-plan.ts';

const root = path.resolve(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(path.join(root, file), 'utf8');
const documents = ['*.md', 'docs/**/*.md', 'models/*/*.md'].flatMap((glob) => globSync(glob, { cwd: root })).sort();
/** The text without code blocks. */
const prose = (file: string) => read(file).replace(/^```.*?^```$/gms, '');
const architecture = prose('docs/architecture.md');

/** The part of a link after `#`, as GitHub computes the part from a heading. */
const anchorsOf = (file: string) =>
  [...prose(file).matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    (heading ?? '')
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );

test('every link between documents leads to a file and a heading', () => {
  expect(documents.length).toBeGreaterThan(20);
  for (const file of documents)
    for (const [, link = ''] of prose(file).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(link)) continue;
      const [target = '', anchor] = link.split('#');
      const found = target === '' ? file : path.join(path.dirname(file), target);
      expect(existsSync(path.join(root, found)), `${file} links to ${link}`).toBe(true);
      if (anchor !== undefined) expect(anchorsOf(found), `${file} links to ${link}`).toContain(anchor);
    }
});

// A decision may name a file that was removed later.
test('every path of a source file in a document exists', () => {
  const current = documents.filter((file) => !file.startsWith('docs/decisions/'));
  const paths = current.flatMap((file) =>
    [...prose(file).matchAll(/`((?:apps|bench|deploy|migrations|packages|scripts|tests)\/[\w./-]+)`/g)].map(
      ([, name = '']) => `${file}: ${name}`,
    ),
  );
  expect(paths.length).toBeGreaterThan(20);
  expect(paths.filter((entry) => !existsSync(path.join(root, entry.split(': ')[1] ?? '')))).toEqual([]);
});

test('the architecture has a sentence for each folder of the source trees, in the order of the plan', () => {
  for (const plan of plans) {
    const table = architecture.split(`| \`${plan.root}\` | content |`)[1]?.split('\n\n')[0] ?? '';
    const rows = [...table.matchAll(/^\| (.+?) \| (.+) \|$/gm)].filter(([, name]) => name !== '---');
    const named = rows.flatMap(([, name = '']) => name.replaceAll('`', '').split(', '));
    expect(named, plan.root).toEqual(Object.keys(plan.folders));
  }
});

test('the path of a waiting cache miss has at most 30 files, and none twice', () => {
  const trees: Record<string, string> = {
    api: 'apps/api/src',
    worker: 'apps/worker/src',
    shared: 'packages/shared/src',
  };
  const rows = [...architecture.matchAll(/^\| (\d+) \| (api|worker|shared) `([^`]+)` \|/gm)];
  const files = rows.map(([, , tree = '', file]) => `${trees[tree]}/${file}`);
  expect(rows.map(([, step]) => Number(step))).toEqual(rows.map((_, at) => at + 1));
  expect(files.length).toBeGreaterThan(20);
  expect(files.length).toBeLessThanOrEqual(30);
  expect(new Set(files).size).toBe(files.length);
  expect(files.filter((file) => !existsSync(path.join(root, file)))).toEqual([]);
});

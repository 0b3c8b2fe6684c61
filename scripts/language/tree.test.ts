import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { languageFaults, reportLanguage } from './tree.ts';

let repository: string;
beforeEach(() => {
  repository = mkdtempSync(path.join(tmpdir(), 'language-'));
});
afterEach(() => rmSync(repository, { recursive: true }));

function write(files: Record<string, string>): void {
  for (const [file, text] of Object.entries(files)) {
    const place = path.join(repository, file);
    mkdirSync(path.dirname(place), { recursive: true });
    writeFileSync(place, text);
  }
}

/** 100 words with `vague` vague referents. */
const prose = (vague: number): string => `${'It. '.repeat(vague)}${'Word. '.repeat(100 - vague)}`;

const faults = (): string[] => languageFaults(reportLanguage(repository));

describe('the language check', () => {
  test('accepts a tree within the limits', () => {
    write({ 'README.md': prose(1), 'docs/a.md': prose(2), 'apps/api/src/a.ts': `// ${prose(1)}` });
    expect(faults()).toEqual([]);
  });

  test('rejects a document above 2 findings for each 100 words', () => {
    write({ 'README.md': prose(0), 'docs/a.md': prose(3) });
    expect(faults()).toEqual([expect.stringMatching(/^docs\/a\.md: 3\.00 vague referents/)]);
  });

  test('rejects a tree above 1.5 findings for each 100 words', () => {
    write({ 'README.md': prose(1), 'apps/api/src/a.ts': `// ${prose(3)}` });
    expect(faults()).toEqual([expect.stringMatching(/^the tree: 2\.00 vague referents/)]);
  });

  test('rejects a retired name, and names the file, the line and the replacement', () => {
    const text = 'A question.';
    write({ 'docs/a.md': `First line.\n${text}`, 'docs/node_modules/a.md': text, 'bench/peers/venvs/a.md': text });
    expect(faults()).toEqual(['docs/a.md:2: "question" is a retired name; use request, input']);
  });

  test('rejects a product source without a first comment', () => {
    const source = "import { a } from './b.ts';\n/** A late comment. */\nexport const c = a;\n";
    write({
      'apps/api/src/a.ts': source,
      'apps/api/src/a.test.ts': source,
      'apps/api/src/b.ts': `/** The purpose. */\n${source}`,
    });
    expect(faults()).toEqual(['apps/api/src/a.ts: begin the file with a comment that states its purpose']);
  });

  test('rejects a tool or a helper of tests whose purpose is not stated before its first statement', () => {
    const imports = "import path from 'node:path';\nimport {\n  tmpdir,\n} from 'node:os';\n\n";
    write({
      'bench/a.ts': `${imports}export const a = 1;\n/** Too late. */\n`,
      'scripts/a.ts': 'export const a = 1;\n',
      'tests/a.ts': `${imports}/** The purpose. */\nexport const a = 1;\n`,
      'tests/a.test.ts': imports,
    });
    const fault = 'begin the file with a comment that states its purpose';
    expect(faults()).toEqual([`bench/a.ts: ${fault}`, `scripts/a.ts: ${fault}`]);
  });

  test('can be limited to a folder', () => {
    write({ 'docs/a.md': 'A question.', 'apps/api/src/a.ts': '' });
    expect(reportLanguage(repository, ['apps']).files.map(({ file }) => file)).toEqual(['apps/api/src/a.ts']);
  });
});

/** Reads the files of the repository, and counts the findings of the language check. */
import { globSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { type Finding, findingsIn } from './findings.ts';
import { hasProse, proseOf } from './prose.ts';
import { type RetiredUse, retiredUses } from './retired-names.ts';

export interface FileReport {
  file: string;
  words: number;
  findings: Finding[];
  retired: RetiredUse[];
  /** Whether the file begins with the comment that states its purpose. True for a file that needs none. */
  statesPurpose: boolean;
}

export interface LanguageReport {
  files: FileReport[];
  words: number;
  findings: number;
}

/** Findings for each 100 words. */
export const MAX_RATE = 1.5;
export const MAX_RATE_OF_A_DOCUMENT = 2;

const FOLDERS = 'docs,apps,packages,migrations,scripts,bench,tests,models,deploy';
// The benchmark of the peers installs their Python packages into venvs.
const SKIPPED = ['**/node_modules/**', '**/dist/**', '**/.git/**', '**/venvs/**'];
/** The product sources, which begin with the comment that states the purpose of the file. */
const PRODUCT = /^(apps|packages)\/[\w-]+\/src\/(?!.*\.test\.ts$).*\.ts$/;
/** The other sources, where the comment may follow the imports. A test states its purpose in its names. */
const TOOLS = /^(scripts|bench|tests)\/(?!.*\.test\.ts$).*\.ts$/;
const COMMENT = /^(\/\*|\/\/|#!)/;
const IMPORTS = /^(import\s[^;]*;\s*)*/;
const TEXT = /\.(md|ts|js|mjs|py|lua|sql|sh|ya?ml|conf|cfg)$/;

/** Counts the text files below `repository`; `only` limits the report to some files and folders. */
export function reportLanguage(repository: string, only: readonly string[] = []): LanguageReport {
  const files = textFiles(repository, only).map((file) => reportFile(repository, file));
  return {
    files,
    words: files.reduce((sum, { words }) => sum + words, 0),
    findings: files.reduce((sum, { findings }) => sum + findings.length, 0),
  };
}

/** Findings for each 100 words. */
export const rateOf = ({ words, findings }: { words: number; findings: number }): number =>
  words === 0 ? 0 : (100 * findings) / words;

/** Returns a sentence for each broken limit; an empty list when the tree keeps the limits. */
export function languageFaults(report: LanguageReport): string[] {
  const rate = rateOf(report);
  const documents = report.files.filter(({ file }) => file.startsWith('docs/'));
  return [
    ...report.files.flatMap(({ retired }) => retired.map(retiredFault)),
    ...report.files
      .filter(({ statesPurpose }) => !statesPurpose)
      .map(({ file }) => `${file}: begin the file with a comment that states its purpose`),
    ...documents.flatMap(({ file, words, findings }) => {
      const own = rateOf({ words, findings: findings.length });
      return own > MAX_RATE_OF_A_DOCUMENT ? [rateFault(file, own, MAX_RATE_OF_A_DOCUMENT)] : [];
    }),
    ...(rate > MAX_RATE ? [rateFault('the tree', rate, MAX_RATE)] : []),
  ];
}

const retiredFault = ({ file, line, name, use }: RetiredUse): string =>
  `${file}${line ? `:${line}` : ''}: "${name}" is a retired name; use ${use}`;

const rateFault = (where: string, rate: number, limit: number): string =>
  `${where}: ${rate.toFixed(2)} vague referents and long sentences for each 100 words, at most ${limit} are allowed`;

function textFiles(repository: string, only: readonly string[]): string[] {
  const patterns =
    only.length > 0 ? only.map((place) => inFolder(repository, place)) : ['*.md', '.ci/run', `{${FOLDERS}}/**`];
  const found = globSync(patterns, { cwd: repository, exclude: SKIPPED });
  const files = found.filter((file) => TEXT.test(file) || file === '.ci/run');
  return [...new Set(files.filter((file) => statSync(path.join(repository, file)).isFile()))].sort();
}

function inFolder(repository: string, place: string): string {
  const file = path.relative(repository, path.resolve(repository, place));
  return statSync(path.join(repository, file)).isDirectory() ? path.join(file, '**') : file;
}

function reportFile(repository: string, file: string): FileReport {
  const source = readFileSync(path.join(repository, file), 'utf8');
  const { found, words } = hasProse(file) ? findingsIn(proseOf(file, source)) : { found: [], words: 0 };
  const head = TOOLS.test(file) ? source.replace(IMPORTS, '') : source;
  const statesPurpose = !(PRODUCT.test(file) || TOOLS.test(file)) || COMMENT.test(head);
  return { file, words, findings: found, retired: retiredUses(file, source), statesPurpose };
}

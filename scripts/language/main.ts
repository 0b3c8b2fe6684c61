/**
 * `npm run language [-- --report] [PATH...]`: counts vague referents, long sentences and retired names, and exits with 1 when a
 * limit is broken. `--report` prints the figures of each file and each finding. A PATH limits the check to a file or a folder.
 */
import path from 'node:path';
import { type LanguageReport, languageFaults, rateOf, reportLanguage } from './tree.ts';

/** More lines hide the totals. */
const MAX_FAULTS = 100;
const repository = path.resolve(import.meta.dirname, '../..');
const args = process.argv.slice(2);
const paths = args.filter((arg) => !arg.startsWith('--'));
const report = reportLanguage(repository, paths);
if (args.includes('--report')) print(report);
const faults = languageFaults(report);
for (const fault of faults.slice(0, MAX_FAULTS)) console.error(fault);
if (faults.length > MAX_FAULTS) console.error(`${faults.length - MAX_FAULTS} more: name a PATH to print the rest`);
const retired = report.files.reduce((sum, file) => sum + file.retired.length, 0);
console.log(
  `${report.findings} findings in ${report.words} words: ${rateOf(report).toFixed(2)} for each 100; ${retired} retired names`,
);
process.exitCode = faults.length > 0 ? 1 : 0;

function print({ files }: LanguageReport): void {
  for (const { file, findings } of files)
    for (const { kind, sentence } of findings) console.log(`${file}: ${kind}: ${sentence}`);
  console.log('per 100  findings    words  retired  file');
  const rows = files.map((file) => ({ ...file, rate: rateOf({ words: file.words, findings: file.findings.length }) }));
  for (const { file, words, findings, retired: uses, rate } of rows.sort((a, b) => b.rate - a.rate)) {
    const counts = [findings.length, words, uses.length].map((count, at) => String(count).padStart(at === 0 ? 9 : 8));
    if (findings.length + uses.length > 0) console.log(`${rate.toFixed(2).padStart(7)} ${counts.join(' ')}  ${file}`);
  }
}

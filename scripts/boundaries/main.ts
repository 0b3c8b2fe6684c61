/**
 * `npm run boundaries [-- --report]`: compares the imports between folders with the plan of folder-plan.ts, and exits with 1
 * when a rule is broken. `--report` prints every pair of folders with its number of imports.
 */
import path from 'node:path';
import { faultsOf, reportTree, type TreeReport } from './folder-graph.ts';
import { plans } from './folder-plan.ts';

const repository = path.resolve(import.meta.dirname, '../..');
const full = process.argv.includes('--report');
const faults: string[] = [];
for (const plan of plans) {
  const report = reportTree(repository, plan);
  print(report);
  faults.push(...faultsOf(report, plan));
}
for (const fault of faults) console.error(fault);
process.exitCode = faults.length > 0 ? 1 : 0;

function print(report: TreeReport): void {
  const { root, files, folders, edges, folderCycles, fileCycles, barred } = report;
  console.log(
    `${root}: ${files} files, ${folders} folders, ${edges.size} pairs of folders, ${folderCycles.length} folder cycles, ` +
      `${fileCycles.length} file cycles, ${barred.length} imports outside the plan`,
  );
  if (!full) return;
  for (const [pair, imports] of [...edges].sort()) console.log(`  ${pair} (${imports.length})`);
}

// `node scripts/test-counts.mjs <report>`: the totals of a vitest JSON report, on a line that CI reads.
import { readFileSync } from 'node:fs';

const text = readFileSync(process.argv[2], 'utf8');
if (text === '') {
  // Vitest ended before it could report: that is not "no failures".
  console.log('0 passed, 1 failed');
  process.exit(1);
}
const report = JSON.parse(text);
// A file that could not be loaded has no tests to count, and has failed all the same; so has a run without servers.
const broken = report.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0);
const failed = report.numFailedTests + broken.length || (report.success ? 0 : 1);
const skipped = report.numPendingTests + report.numTodoTests;
console.log(`${report.numPassedTests} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}`);

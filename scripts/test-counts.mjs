// `node scripts/test-counts.mjs <report> [passed] [failed]`: adds the totals of a vitest JSON report to the counts given, and
// prints the line that CI reads.
import { readFileSync } from 'node:fs';

const [file, morePassed = 0, moreFailed = 0] = process.argv.slice(2);
const print = (passed, failed, skipped) =>
  console.log(
    `${passed + Number(morePassed)} passed, ${failed + Number(moreFailed)} failed${skipped ? `, ${skipped} skipped` : ''}`,
  );
const text = readFileSync(file, 'utf8');
if (text === '') {
  // Vitest ended before it wrote the report. An empty report counts as a failure.
  print(0, 1);
  process.exit(1);
}
const report = JSON.parse(text);
// A test file that could not be loaded has no tests, and counts as a failure. So does a run whose servers did not start.
const broken = report.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0);
const failed = report.numFailedTests + broken.length || (report.success ? 0 : 1);
print(report.numPassedTests, failed, report.numPendingTests + report.numTodoTests);

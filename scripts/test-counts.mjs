// `node scripts/test-counts.mjs <passed> <failed> <report>...`: adds the totals of vitest's JSON reports to the counts given, and
// prints the line that CI reads.
import { readFileSync } from 'node:fs';

const [morePassed, moreFailed, ...files] = process.argv.slice(2);
const total = { passed: Number(morePassed), failed: Number(moreFailed), skipped: 0 };
let complete = true;
for (const file of files) {
  const text = readFileSync(file, 'utf8');
  if (text === '') {
    // Vitest ended before the report was written. An empty report counts as a failure.
    total.failed += 1;
    complete = false;
    continue;
  }
  const report = JSON.parse(text);
  // A test file that could not be loaded has no tests, and counts as a failure. So does a run whose servers did not start.
  const broken = report.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0);
  total.passed += report.numPassedTests;
  total.failed += report.numFailedTests + broken.length || (report.success ? 0 : 1);
  total.skipped += report.numPendingTests + report.numTodoTests;
}
console.log(`${total.passed} passed, ${total.failed} failed${total.skipped ? `, ${total.skipped} skipped` : ''}`);
process.exitCode = complete ? 0 : 1;

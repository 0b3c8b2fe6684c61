// `node scripts/test-counts.mjs <report> [passed] [failed]`: the totals of a vitest JSON report, with those of what else
// was run, on a line that CI reads.
import { readFileSync } from 'node:fs';

const [file, morePassed = 0, moreFailed = 0] = process.argv.slice(2);
const say = (passed, failed, skipped) =>
  console.log(
    `${passed + Number(morePassed)} passed, ${failed + Number(moreFailed)} failed${skipped ? `, ${skipped} skipped` : ''}`,
  );
const text = readFileSync(file, 'utf8');
if (text === '') {
  // Vitest ended before it could report: that is not "no failures".
  say(0, 1);
  process.exit(1);
}
const report = JSON.parse(text);
// A file that could not be loaded has no tests to count, and has failed all the same; so has a run without servers.
const broken = report.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0);
const failed = report.numFailedTests + broken.length || (report.success ? 0 : 1);
say(report.numPassedTests, failed, report.numPendingTests + report.numTodoTests);

/**
 * A process that runs the tests of a module again and again, with the vitest of the copy. Reads from its parent the milliseconds after
 * which a test hangs (0: the limits of the tests), and sends an `Outcome`. The servers of the tests start once.
 */
import path from 'node:path';
import { createVitest, type TestModule } from 'vitest/node';
import type { Outcome } from './run-tests.ts';

const CLOSE_MS = 10_000;
const [dir = '', changed = '', ...files] = process.argv.slice(2);
process.chdir(dir);
const vitest = await createVitest('test', {
  root: dir,
  watch: false,
  bail: 1,
  reporters: [{}],
  // A process that ran the tests before still has the module as it was.
  isolate: true,
});
const specifications = (await vitest.globTestSpecifications(files)).filter(({ moduleId }) =>
  files.some((file) => path.join(dir, file) === moduleId),
);
if (specifications.length < files.length) throw new Error(`Not all of these tests exist: ${files.join(', ')}.`);

const limits = vitest.projects.map(({ config }) => config.testTimeout);

/** Whether a test failed only because its time was over. */
const isLate = (module: TestModule): boolean =>
  [...module.children.allTests()].some((test) =>
    test.result().errors?.some(({ message }) => message.startsWith('Test timed out in')),
  );

process.on('message', async (hangsMs: number) => {
  for (const [at, { config }] of vitest.projects.entries()) config.testTimeout = hangsMs || (limits[at] ?? 0);
  vitest.invalidateFile(path.join(dir, changed));
  const { testModules, unhandledErrors } = await vitest.runTestSpecifications(specifications);
  // After the first failure the other tests are canceled, and have neither passed nor failed.
  const passed =
    unhandledErrors.length === 0 &&
    testModules.length === specifications.length &&
    testModules.every((each) => each.state() === 'passed');
  const outcome: Outcome = passed ? 'passed' : hangsMs > 0 && testModules.some(isLate) ? 'late' : 'failed';
  process.send?.(outcome);
});
process.on('disconnect', async () => {
  // A test that hangs, or its process, does not end by itself. The parent made this process the leader of a group.
  setTimeout(() => process.kill(-process.pid, 'SIGKILL'), CLOSE_MS).unref();
  await vitest.close();
  process.exit(0);
});
process.send?.('ready');

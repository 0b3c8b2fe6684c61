import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';

const root = path.resolve(import.meta.dirname, '../..');

/** Files that may read the clock of the machine, each for a reason. */
const MAY_READ = new Map([
  ['packages/shared/src/postgres/clock.ts', 'compares it with the clock of Postgres'],
  ['packages/shared/src/webhooks/timers.ts', 'BullMQ adds the delay of a job to it'],
  ['apps/gateway/src/main.ts', 'the time of a line of its log'],
]);

test('a time that others see is Postgres’s, and a duration is measured on the monotonic clock', () => {
  const files = globSync(['apps/*/src/**/*.ts', 'packages/{shared,handler}/src/**/*.ts'], { cwd: root });
  const readers = files.filter(
    (file) =>
      !file.endsWith('.test.ts') && /\bDate\.now\b|new Date\(\)/.test(readFileSync(path.join(root, file), 'utf8')),
  );
  // Another file: sharedNow() of postgres/clock.ts, or performance.now().
  expect(readers.filter((file) => !MAY_READ.has(file))).toEqual([]);
  expect([...MAY_READ.keys()].filter((file) => !readers.includes(file))).toEqual([]);
});

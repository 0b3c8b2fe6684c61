import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';

const root = path.resolve(import.meta.dirname, '../..');

/** Files that may read the machine's clock, each with the reason. */
const MAY_READ = new Map([
  ['packages/shared/src/postgres/clock.ts', 'compares the clock with the clock of Postgres'],
  [
    'packages/shared/src/process/series-histogram.ts',
    'Prometheus shows the time of an exemplar beside the times of its scrapes',
  ],
  ['packages/shared/src/webhooks/timers.ts', 'BullMQ adds the delay of a job to the clock'],
]);

test('a time that other processes see comes from Postgres, and a duration from the monotonic clock', () => {
  const files = globSync(['apps/{api,worker}/src/**/*.ts', 'packages/{shared,handler}/src/**/*.ts'], { cwd: root });
  const readers = files.filter(
    (file) =>
      !file.endsWith('.test.ts') && /\bDate\.now\b|new Date\(\)/.test(readFileSync(path.join(root, file), 'utf8')),
  );
  // Any other file uses sharedNow() of postgres/clock.ts, or performance.now().
  expect(readers.filter((file) => !MAY_READ.has(file))).toEqual([]);
  expect([...MAY_READ.keys()].filter((file) => !readers.includes(file))).toEqual([]);
});

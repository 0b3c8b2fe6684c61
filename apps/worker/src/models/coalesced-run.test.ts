import { expect, test } from 'vitest';
import { pauseAfterScan } from './coalesced-run.ts';

test('a long scan of the models folder is followed by a pause of at most five seconds', () => {
  // 19 s is the scan of a file of 1 GB that cannot load. The next model waited for 75 s.
  expect(pauseAfterScan(2_000, 19_000)).toBe(5_000);
  expect(pauseAfterScan(2_000, 100)).toBe(2_000);
  expect(pauseAfterScan(250, 500)).toBe(2_000);
  expect(pauseAfterScan(60_000, 19_000)).toBe(60_000);
});

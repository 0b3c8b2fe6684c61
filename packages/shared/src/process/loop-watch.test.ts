import { expect, test } from 'vitest';
import { watchEventLoop } from './loop-watch.ts';

test('a blocked event loop has a line with its duration', async () => {
  const lines: { ms: number }[] = [];
  const stop = watchEventLoop({ warn: (fields: object) => void lines.push(fields as { ms: number }) } as Parameters<
    typeof watchEventLoop
  >[0]);
  // The monitor needs a turn before it can measure a turn.
  await new Promise((resolve) => setTimeout(resolve, 50));
  const until = performance.now() + 400;
  while (performance.now() < until);
  await expect.poll(() => lines.length).toBeGreaterThan(0);
  expect(lines[0]?.ms).toBeGreaterThanOrEqual(250);
  stop();
});

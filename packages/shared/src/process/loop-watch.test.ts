import { expect, test } from 'vitest';
import { watchEventLoop } from './loop-watch.ts';

test('a blocked event loop has a line with its duration', async () => {
  const lines: { ms: number }[] = [];
  const stop = watchEventLoop({ warn: (fields: object) => void lines.push(fields as { ms: number }) } as Parameters<
    typeof watchEventLoop
  >[0]);
  const block = () => {
    for (const end = performance.now() + 400; performance.now() < end; );
  };
  // The monitor does not measure the block before its first sample, so the block is repeated.
  await expect
    .poll(() => {
      block();
      return lines.length;
    })
    .toBeGreaterThan(0);
  expect(lines[0]?.ms).toBeGreaterThanOrEqual(250);
  stop();
});

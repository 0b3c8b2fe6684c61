import { expect, test } from 'vitest';
import { watchEventLoop } from './loop-watch.ts';

type Log = Parameters<typeof watchEventLoop>[0];

function block(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end; );
}

function watch() {
  const lines: { ms: number }[] = [];
  const stop = watchEventLoop({ warn: (fields: object) => void lines.push(fields as { ms: number }) } as Log);
  return { lines, stop };
}

test('a blocked event loop has a line with its duration', async () => {
  const { lines, stop } = watch();
  // The monitor does not measure the block before its first sample, so the block is repeated.
  await expect
    .poll(() => {
      block(400);
      return lines.length;
    })
    .toBeGreaterThan(0);
  expect(lines[0]?.ms).toBeGreaterThanOrEqual(250);
  stop();
});

test('a block is noticed if the look at the samples is due before the sample of the block', async () => {
  const { lines, stop } = watch();
  // A timer that is due at the begin of the block makes Node run every timer that is due, before the sample.
  const often = setInterval(() => {}, 1);
  await new Promise((resolve) => setTimeout(resolve, 100));
  setImmediate(() => block(1_200));
  await expect.poll(() => lines.some(({ ms }) => ms >= 1_000)).toBe(true);
  clearInterval(often);
  stop();
});

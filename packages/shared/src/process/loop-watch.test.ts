import { expect, test } from 'vitest';
import { watchEventLoop } from './loop-watch.ts';

type Log = Parameters<typeof watchEventLoop>[0];

function block(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end; );
}

test.each([
  ['the poll phase', (run: () => void) => void import('node:fs').then(({ stat }) => stat('.', run))],
  ['a timer', (run: () => void) => void setTimeout(run)],
  ['setImmediate', (run: () => void) => void setImmediate(run)],
  ['a microtask', (run: () => void) => queueMicrotask(run)],
])('each block in %s has a line with its duration', async (_, run) => {
  const lines: { ms: number }[] = [];
  const stop = watchEventLoop({ warn: (fields: object) => void lines.push(fields as { ms: number }) } as Log);
  // Timers that are due at the begin of a block must not hide the block.
  const often = setInterval(() => {}, 1);
  for (let count = 1; count <= 3; count += 1) {
    run(() => block(500));
    await expect.poll(() => lines.filter(({ ms }) => ms >= 400).length).toBeGreaterThanOrEqual(count);
  }
  clearInterval(often);
  stop();
});

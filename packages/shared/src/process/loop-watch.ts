/** Logs when the event loop of a process was blocked: nothing else in the process could run meanwhile. */
import type { Logger } from 'pino';

const TICK_MS = 25;
const BLOCKED_MS = 250;

/**
 * Returns the function that ends the watch. The watch measures how late its timer runs. `monitorEventLoopDelay` would have to be reset after
 * each look, and a reset between a block and its sample discards the block.
 */
export function watchEventLoop(log: Pick<Logger, 'warn'>): () => void {
  let lastAt = performance.now();
  const timer = setInterval(() => {
    const at = performance.now();
    const ms = Math.round(at - lastAt - TICK_MS);
    lastAt = at;
    if (ms >= BLOCKED_MS) log.warn({ ms }, 'the event loop was blocked');
  }, TICK_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** Logs when the event loop of a process was blocked: nothing else in the process could run meanwhile. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Logger } from 'pino';

const LOOK_EVERY_MS = 1_000;
const BLOCKED_MS = 250;

/** Returns the function that ends the watch. */
export function watchEventLoop(log: Pick<Logger, 'warn'>): () => void {
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  const timer = setInterval(() => {
    const ms = Math.round(delay.max / 1e6);
    delay.reset();
    if (ms >= BLOCKED_MS) log.warn({ ms }, 'the event loop was blocked');
  }, LOOK_EVERY_MS);
  timer.unref();
  return () => {
    clearInterval(timer);
    delay.disable();
  };
}

/** Logs when the event loop of a process was blocked: nothing else in the process could run meanwhile. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Logger } from 'pino';

const LOOK_EVERY_MS = 1_000;
const BLOCKED_MS = 250;

/** Returns the function that ends the watch. */
export function watchEventLoop(log: Pick<Logger, 'warn'>): () => void {
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  const look = (): void => {
    const ms = Math.round(delay.max / 1e6);
    delay.reset();
    if (ms >= BLOCKED_MS) log.warn({ ms }, 'the event loop was blocked');
  };
  // After a block this timer can run before the sample of the block, and the reset would discard the sample. The sample is taken in the
  // phase of the timers, which is over when setImmediate calls.
  const timer = setInterval(() => setImmediate(look), LOOK_EVERY_MS);
  timer.unref();
  return () => {
    clearInterval(timer);
    delay.disable();
  };
}

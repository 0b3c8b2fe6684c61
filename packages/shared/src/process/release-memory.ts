/** Returns the memory of a start to the operating system. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Collects all garbage. The start of a process leaves some 50 MB of garbage. V8 keeps the memory until the process has much more
 * work. `full` also shrinks the space for young objects, which the modules of a start have filled. A full collection takes some 100 ms, and
 * any other collection some 30 ms: collect fully only where no request waits.
 */
export function releaseMemory({ full }: { full: boolean }): void {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect !== 'function') return;
  collect({ type: 'major', execution: 'sync', flavor: full ? 'last-resort' : 'regular' });
}

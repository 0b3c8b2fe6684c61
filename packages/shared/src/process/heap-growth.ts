/** How far the heap of a process grows before V8 collects its old objects, where new objects begin, and when V8 collects them. */
import { setFlagsFromString } from 'node:v8';

/** The old objects may reach two and a half times the size that the last collection left. */
const GROWTH_PERCENT = 150;
const LEAST_PERCENT = 25;
/** Connections whose requests take as much memory as one percent of growth. */
const CONNECTIONS_PER_PERCENT = 80;

/**
 * Call the function at the start of a process. Without the call V8 chooses by its own measures:
 *
 * - How far the heap grows: between a few percent and four times. After an idle time V8 can choose some 25 percent for good. A worker under
 *   load then marks its whole heap every two seconds, and the threads of V8 take a fifth of its processor time.
 * - Where new objects begin. V8 counts, for each place of the code, the objects that survive a collection. During a start many objects of
 *   requests survive, and V8 can then put the objects of all later requests among the old objects. There each object keeps the younger
 *   objects of its request until the next collection of old objects. In three of ten starts a hit took 42 to 51 us instead of 30.
 * - When it collects young objects: in a task, when the space of young objects is four fifths full. A later collection meets fewer living objects: a worker
 *   under load collects a tenth less often.
 */
export function letHeapGrow(): void {
  setHeapGrowth(GROWTH_PERCENT);
  setFlagsFromString('--no-allocation-site-pretenuring');
  setFlagsFromString('--no-minor-gc-task');
}

/**
 * How far the heap of a process with so many open connections may grow, in percent of its living objects. 10,000 waiting requests keep 75 MiB
 * alive: two and a half times this size would be garbage of 190 MiB.
 */
export const growthPercentOf = (connections: number): number =>
  Math.max(LEAST_PERCENT, Math.round(GROWTH_PERCENT - connections / CONNECTIONS_PER_PERCENT));

/** V8 reads the percent at the end of each collection of old objects. */
export function setHeapGrowth(percent: number): void {
  setFlagsFromString(`--heap-growing-percent=${percent}`);
}

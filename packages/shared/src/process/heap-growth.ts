/** How far the heap of a process grows before V8 collects its old objects. */
import { setFlagsFromString } from 'node:v8';

/** The old objects may reach two and a half times the size that the last collection left. */
const GROWTH_PERCENT = 150;

/**
 * Call the function at the start of a process. Without it V8 chooses the growth by its own measures, between a few percent and four
 * times. After an idle time V8 can choose some 25 percent for good: a worker under load then marks its whole heap every two seconds,
 * and the threads of V8 take a fifth of its processor time.
 */
export function letHeapGrow(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT}`);
}

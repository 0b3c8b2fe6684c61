/**
 * Measures how long the event loop of this thread is blocked, in processor time, so that other processes of the machine
 * do not count. Processor time still grows with the load of the machine, because processes share its caches and its cores.
 */

/** Processor time of `referenceWork` on an idle machine, in milliseconds. */
const REFERENCE_MS = 0;
const REFERENCE_TEXT = JSON.stringify(Array.from({ length: 100_000 }, (_, at) => ({ x: [at, 0.5] })));

/** Processor time of a fixed amount of work in this thread now, in milliseconds. */
function referenceWork(): number {
  const before = process.threadCpuUsage();
  JSON.parse(REFERENCE_TEXT);
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1_000;
}

/** How many times slower than the idle machine this thread is now; at least 1. */
const slowness = (): number => Math.max(1, referenceWork() / REFERENCE_MS);

/**
 * Runs `work` and resolves to the processor time of the longest turn of the event loop during the work, in
 * milliseconds of the idle machine. The loop spins meanwhile, so another thread or process must send the requests.
 */
export async function longestTurnMs(work: () => Promise<unknown>): Promise<number> {
  const slownessBefore = slowness();
  let longest = 0;
  let before = process.threadCpuUsage();
  let next: NodeJS.Immediate;
  const turn = (): void => {
    const { user, system } = process.threadCpuUsage(before);
    longest = Math.max(longest, user + system);
    before = process.threadCpuUsage();
    next = setImmediate(turn);
  };
  next = setImmediate(turn);
  try {
    await work();
  } finally {
    clearImmediate(next);
  }
  return longest / 1_000 / ((slownessBefore + slowness()) / 2);
}

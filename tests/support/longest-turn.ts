/**
 * Measures how long the event loop of this thread is blocked, in processor time, so that other processes of the machine
 * do not count.
 */

/**
 * Runs `work` and resolves to the processor time of the longest turn of the event loop during the work, in
 * milliseconds. The loop spins meanwhile, so another thread or process must send the requests.
 */
export async function longestTurnMs(work: () => Promise<unknown>): Promise<number> {
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
  return longest / 1_000;
}
